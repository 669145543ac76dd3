"""Seats of one member that launches hold before its own numbers show them. Knows no member and no clock.

A lease begins with the decision. It ends when the launch fails, or when the member's numbers have grown: then that
many of the oldest leases are visible there, and would be counted twice. Launches whose end is not seen, because
they were redirected or are ready, hold their lease for a limited time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType

LINGER = 30.0  # seconds after `ready` until it is certainly in the member's numbers
HANDED = 60.0  # seconds for a redirected launch; stock BinderHubs count their pods once a minute


class Lease:
    """One launch's seat. `close` it once; closing again does nothing."""

    def __init__(
        self, end: Callable[[Lease, bool], None], turned: Callable[[bool], None] = lambda building: None
    ) -> None:
        self._end: Callable[[Lease, bool], None] | None = end
        self._turned = turned
        self.visible = False
        self.building = False

    def builds(self, building: bool) -> None:
        """Whether the launch waits for a build now, and so starts nothing."""
        if building is not self.building and self._end is not None:
            self.building = building
            self._turned(building)

    def close(self, *, ready: bool = False) -> None:
        """The launch is over; when it is ready, its session goes on."""
        end, self._end = self._end, None
        if end is not None:
            end(self, ready)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Ledger:
    """The leases of one member. `hidden` is how many its numbers do not show yet."""

    def __init__(self) -> None:
        self._open: dict[Lease, None] = {}  # in the order of their beginning
        self._timed: deque[tuple[float, int]] = deque()  # until when, how many: one entry for each second
        self._timed_count = 0
        self._visible = 0  # of the open ones
        self._building = 0  # of the open ones
        self.sent = 0  # since the last look

    @property
    def hidden(self) -> int:
        return len(self._open) - self._visible + self._timed_count

    @property
    def under_way(self) -> int:
        """Launches that have not ended, whether its numbers show them or not."""
        return len(self._open)

    @property
    def starting(self) -> int:
        """Launches that have not ended and wait for no build."""
        return len(self._open) - self._building

    def open(self, changed: Callable[[], None], now: Callable[[], float], *, lingers: bool) -> Lease:
        """A new lease. `changed` is called when it ends, or begins or stops to wait for a build; with `lingers` it is
        held a while longer if it ends ready."""

        def turned(building: bool) -> None:
            self._building += 1 if building else -1
            changed()

        def end(lease: Lease, ready: bool) -> None:
            self._open.pop(lease, None)
            self._building -= lease.building
            if lease.visible:
                self._visible -= 1
            elif ready and lingers:
                self._hold(now() + LINGER)
            changed()

        lease = Lease(end, turned)
        self._open[lease] = None
        self.sent += 1
        return lease

    def hand(self, now: float) -> None:
        """A launch was redirected: its end will not be seen."""
        self.sent += 1
        self._hold(now + HANDED)

    def shown(self, grown: int) -> int:
        """The member's numbers grew by so many: the oldest leases are among them. Returns how many were."""
        left = grown
        while left and self._timed:
            until, count = self._timed[0]
            taken = min(left, count)
            left -= taken
            self._timed_count -= taken
            if taken == count:
                self._timed.popleft()
            else:
                self._timed[0] = (until, count - taken)
        for lease in self._open:
            if not left:
                break
            if not lease.visible:
                lease.visible = True
                self._visible += 1
                left -= 1
        self.sent = 0
        return grown - left

    def expire(self, now: float) -> bool:
        """Lets go of those held long enough, and of those that a clock set back would hold for longer. Whether there
        were any."""
        before = self._timed_count
        while self._timed and not now < self._timed[0][0] <= now + HANDED + 1:
            self._timed_count -= self._timed.popleft()[1]
        return self._timed_count != before

    def forget(self) -> None:
        """Lets go of all whose launch has ended or will not be seen to end."""
        self._timed.clear()
        self._timed_count = 0

    def _hold(self, until: float) -> None:
        self._timed_count += 1
        second = float(int(until) + 1)
        if self._timed and self._timed[-1][0] >= second:
            last, count = self._timed[-1]
            self._timed[-1] = (last, count + 1)
        else:
            self._timed.append((second, 1))
