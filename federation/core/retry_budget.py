"""How many further attempts launches may make together: a token bucket. Knows no launch and reads no clock.

When all members fail, attempts on others only add load to what is overloaded. Each launch therefore pays a part
of a further attempt in, and each further attempt takes a whole one out, whichever launch makes it. The idea is
that of the retry budgets of Finagle and Envoy: a share of the traffic, with a floor for quiet times.
"""

from __future__ import annotations

from dataclasses import dataclass

FLOOR = 10 / 60  # attempts a second that are granted without any launches
MOST = 100.0  # attempts that can be saved up: what a large member's end at a busy hour takes
FIRST = 50.0  # attempts that are granted before anything was paid in


@dataclass(frozen=True, slots=True)
class Balance:
    """So many attempts were left at this time, in seconds."""

    attempts: float = FIRST
    at: float = 0.0


def paid_in(balance: Balance, ratio: float, now: float) -> Balance:
    """After one more launch, which pays for this share of a further attempt."""
    grown = _grown(balance, now)
    return Balance(min(MOST, grown.attempts + ratio), grown.at)


def taken_out(balance: Balance, now: float) -> Balance | None:
    """After one further attempt, None when there is none left."""
    grown = _grown(balance, now)
    return Balance(grown.attempts - 1, grown.at) if grown.attempts >= 1 else None


def _grown(balance: Balance, now: float) -> Balance:
    """A clock that was set back counts as one that stood still."""
    now = max(now, balance.at)
    return Balance(min(MOST, balance.attempts + FLOOR * (now - balance.at)), now)
