"""How often one address may launch: BinderHub's fixed window (BINDER-PROTOCOL §1.7). Knows no clock, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of an address's window after one more launch; `reset` is in seconds since the epoch."""

    limit: int
    remaining: int  # below zero: this launch is one too many
    reset: int

    @property
    def exceeded(self) -> bool:
        return self.remaining < 0


class RateLimiter:
    """`limit` launches in each `period` seconds, for every key. Remembers at most `most` keys.

    A window begins with its first launch and ends `period` seconds later, however many come. When more keys
    are under way than are remembered, the oldest window is forgotten first.
    """

    def __init__(self, limit: int, period: float, *, most: int = 100_000) -> None:
        """A `limit` of 0 is none at all."""
        self.limit = limit
        self.period = period
        self._most = most
        self._windows: dict[str, tuple[int, int]] = {}  # key to (remaining, reset), oldest window first

    def spend(self, key: str, now: float) -> Allowance | None:
        """Counts one launch at `now`, seconds since the epoch; None when there is no limit."""
        if not self.limit:
            return None
        now = int(now)
        self._forget(now)
        remaining, reset = self._windows.get(key, (self.limit, -1))
        # A window that ends later than any that begins now is of a clock that was wrong, and is over.
        if not now <= reset <= now + self.period:
            remaining, reset = self.limit, int(now + self.period)
            self._windows.pop(key, None)  # a window that begins anew takes its place at the end
        self._windows[key] = remaining - 1, reset
        return Allowance(self.limit, remaining - 1, reset)

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._windows)

    def _forget(self, now: int) -> None:
        """Drops the windows that are over, and the oldest while there are too many."""
        while self._windows:
            oldest = next(iter(self._windows))
            if self._windows[oldest][1] >= now and len(self._windows) < self._most:
                return
            del self._windows[oldest]


def key_of(address: str) -> str:
    """What is counted for an address: itself, or the /64 network that one IPv6 visitor has to themselves."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)  # as a socket for both kinds names its IPv4 peers
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"
    return str(parsed)
