"""The launches of the last hour, to be counted when somebody asks. Knows no page."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from federation.core.facts import Fact, LaunchEnded
from federation.core.lately import Lately, summed
from federation.service.ports import Clock

SPAN = 3600.0  # seconds that are remembered
MOST = 50_000  # launches


class RecentLaunches:
    """A listener that remembers how launches ended. Redirected ones are not seen to their end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: deque[LaunchEnded] = deque(maxlen=MOST)

    def listen(self, fact: Fact) -> None:
        if isinstance(fact, LaunchEnded):
            self._ends.append(fact)

    def within(self, seconds: float, member: str | None = None) -> Lately:
        """The launches that ended in the last `seconds`, an hour at most; with `member`, those that it finished or
        was the last to try."""
        return summed(end for end in self._since(seconds) if member is None or end.member == member)

    def waits(self, seconds: float) -> tuple[float, ...]:
        """For how many seconds launches that ended in the last `seconds` had waited for a seat, the shortest first.
        Those that had not are left out."""
        return tuple(sorted(end.waited for end in self._since(seconds) if end.waited > 0))

    def _since(self, seconds: float) -> Iterator[LaunchEnded]:
        now = self._clock.now()
        return (end for end in self._ends if 0 <= now - end.at <= min(seconds, SPAN))
