"""Members with seats, sessions that come and go, and images that are built: a discrete-event model. Knows no policy.

What it leaves out: a launch takes its seat at once and never fails for another reason than that there is none;
building takes no seat; each repository is one image, and none is known at the start; visitors do not try again;
members count their sessions exactly and at once when they admit one, though BinderHub's own count is up to a
minute old and lets some too many in; nobody falls ill.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from benchmarks.balance_policies import LOOK, Images, Policy, Site

SESSION = 1200.0  # seconds, on average
BUILD = 120.0  # seconds for an image
REPLICATION = 60.0  # seconds until all members' registries have it
NOWHERE = float("inf")


@dataclass(slots=True)
class Figures:
    """What came of a run. Launches and loads are counted from the end of the warm-up."""

    launches: int = 0
    refused: int = 0
    builds: int = 0
    images: int = 0
    worst: float = 0.0  # the largest load of a member over its fair share, at any look


@dataclass(slots=True)
class _Image:
    ready: dict[int, float] = field(default_factory=dict)  # by member that built it, or is building it
    everywhere: float = NOWHERE  # from when on all members have it


class Federation:
    """The truth about the members."""

    def __init__(self, sites: Sequence[Site], policy: Policy, dice: Random) -> None:
        self._sites, self._policy, self._dice = sites, policy, dice
        self._ends: list[list[float]] = [[] for _ in sites]  # heaps of when sessions end
        self._images: dict[str, _Image] = {}
        self._all = frozenset(site.name for site in sites)
        self._seats = sum(site.seats for site in sites)

    def run(self, arrivals: Iterable[tuple[float, str]], warm_up: float) -> Figures:
        """Takes launches, each at a time in seconds and of a repository, in their order."""
        figures, look = Figures(), 0.0
        for now, key in arrivals:
            while look <= now:
                self._look(look, figures, look >= warm_up)
                look += LOOK
            refused = not self._launch(now, key, figures)
            if now >= warm_up:
                figures.launches += 1
                figures.refused += refused
        figures.images = len(self._images)
        return figures

    def _look(self, now: float, figures: Figures, counts: bool) -> None:
        running = [self._running(index, now) for index in range(len(self._sites))]
        self._policy.look(now, running)
        total = sum(running)
        if counts and total:
            shares = (r / (total * s.seats / self._seats) for r, s in zip(running, self._sites, strict=True))
            figures.worst = max(figures.worst, *shares)

    def _running(self, index: int, now: float) -> int:
        ends = self._ends[index]
        while ends and ends[0] <= now:
            heappop(ends)
        return len(ends)

    def _launch(self, now: float, key: str, figures: Figures) -> bool:
        """Whether a member took it."""
        for index in self._policy.tries(key, self._known(key, now)):
            if self._running(index, now) < self._sites[index].seats:
                heappush(self._ends[index], now + self._dice.expovariate(1 / SESSION))
                self._policy.sent(index)
                self._build(key, index, now, figures)
                return True
        return False

    def _known(self, key: str, now: float) -> Images:
        image = self._images.get(key)
        if image is None:
            return Images()
        if image.everywhere <= now:
            return Images(self._all)
        names = {index: self._sites[index].name for index in image.ready}
        return Images(
            frozenset(names[index] for index, ready in image.ready.items() if ready <= now),
            tuple(names[index] for index, ready in image.ready.items() if ready > now),
        )

    def _build(self, key: str, index: int, now: float, figures: Figures) -> None:
        """A member builds what neither it nor its registry has; further launches there join the build."""
        image = self._images.setdefault(key, _Image())
        if index in image.ready or image.everywhere <= now:
            return
        figures.builds += 1
        image.ready[index] = now + BUILD
        image.everywhere = min(image.everywhere, now + BUILD + REPLICATION)
