"""The policies that `benchmarks.balance` compares: ours through the routing core, and others in their own words.

A policy hears what members tell at each look, and which member took each launch. It never sees the truth between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from federation.core.hashing import draw, score
from federation.core.model import Launch, Member, MemberView, Seats, State
from federation.core.routing import choose, refusal
from federation.core.rules import PolicyRules
from federation.core.snapshot import snapshot

LOOK = 10.0  # seconds between two looks at a member, of all policies


@dataclass(frozen=True, slots=True)
class Site:
    """One member of the model."""

    name: str
    seats: int


@dataclass(frozen=True, slots=True)
class Images:
    """Where the image of the launch is, as far as a front door may know."""

    holders: frozenset[str] = frozenset()
    builders: tuple[str, ...] = ()


class Policy(Protocol):
    def look(self, now: float, running: Sequence[int]) -> None:
        """Every `LOOK` seconds: the sessions that run on each member."""

    def tries(self, key: str, images: Images) -> Iterator[int]:
        """The members that a launch is sent to, one after the other until one takes it."""

    def sent(self, index: int) -> None:
        """That member took it."""


Maker = Callable[[Sequence[Site], Random], Policy]


class EqualRandom:
    """Equal weights and no look at anything."""

    def __init__(self, sites: Sequence[Site], dice: Random) -> None:
        self._sites, self._dice = sites, dice

    def look(self, now: float, running: Sequence[int]) -> None:
        pass

    def tries(self, key: str, images: Images) -> Iterator[int]:
        yield self._dice.randrange(len(self._sites))

    def sent(self, index: int) -> None:
        pass


class PlainRendezvous:
    """Rendezvous weighted by seats, and no look at anything."""

    def __init__(self, sites: Sequence[Site], dice: Random) -> None:
        self._sites = sites

    def look(self, now: float, running: Sequence[int]) -> None:
        pass

    def tries(self, key: str, images: Images) -> Iterator[int]:
        scores = [score(site.seats, draw(key, site.name)) for site in self._sites]
        yield scores.index(max(scores))

    def sent(self, index: int) -> None:
        pass


class FederationRedirect:
    """As mybinder.org runs it: at random with equal weights among the members that were not full when last looked at.

    A member counts its pods once a minute; with fewer than 10 seats left it is out for 90 s. When all are
    out, the first one (the prime) gets everything.
    """

    HEADROOM, CACHED, OUT = 10, 60.0, 90.0

    def __init__(self, sites: Sequence[Site], dice: Random) -> None:
        self._sites, self._dice = sites, dice
        self._told = [0] * len(sites)
        self._counted = [dice.uniform(-self.CACHED, 0) for _ in sites]
        self._due = [0.0] * len(sites)
        self._active = [True] * len(sites)

    def look(self, now: float, running: Sequence[int]) -> None:
        for index, site in enumerate(self._sites):
            if now < self._due[index]:
                continue
            if now - self._counted[index] >= self.CACHED:
                self._told[index], self._counted[index] = running[index], now
            self._active[index] = self._told[index] + self.HEADROOM < site.seats
            self._due[index] = now + (LOOK if self._active[index] else self.OUT)

    def tries(self, key: str, images: Images) -> Iterator[int]:
        active = [index for index, on in enumerate(self._active) if on]
        yield self._dice.choice(active) if active else 0

    def sent(self, index: int) -> None:
        pass


class Ours:
    """The routing core, relaying, with the operator's weights equal to seats and not corrected by what the pool learns.

    A launch counts from when it was sent, goes on elsewhere when it is refused, and joins a build or finds an image.
    """

    ATTEMPTS = 3

    def __init__(self, sites: Sequence[Site], dice: Random) -> None:
        self._dice = dice
        self._views = [_view(site, 0) for site in sites]
        self._rules = PolicyRules()
        self._snapshot = snapshot(self._views, self._rules)
        self._taken = [0] * len(sites)

    def look(self, now: float, running: Sequence[int]) -> None:
        self._views = [_told(view, used) for view, used in zip(self._views, running, strict=True)]
        self._snapshot = snapshot(self._views, self._rules, self._snapshot)
        self._taken = [0] * len(self._views)

    def tries(self, key: str, images: Images) -> Iterator[int]:
        launch = Launch("gh", key, key)
        tried: list[str] = []
        while len(tried) < self.ATTEMPTS:
            index = self._choose(launch, tried, images)
            if index is None:
                return
            yield index
            tried.append(self._views[index].member.name)

    def sent(self, index: int) -> None:
        self._taken[index] += 1

    def _choose(self, launch: Launch, tried: Sequence[str], images: Images) -> int | None:
        return choose(
            launch,
            self._snapshot,
            rules=self._rules,
            dice=self._dice.random,
            tried=tried,
            builders=images.builders,
            holders=images.holders,
            taken=self._taken,
        )


class OursRedirecting(Ours):
    """One try, and no knowledge of builds and images: what becomes of a launch is not seen."""

    ATTEMPTS = 1

    def tries(self, key: str, images: Images) -> Iterator[int]:
        return super().tries(key, Images())


def _view(site: Site, used: int) -> MemberView:
    member = Member(site.name, f"https://{site.name}.example.org", float(site.seats), site.seats)
    return _told(MemberView(member, State.HEALTHY, capacity=site.seats, weight=member.weight), used)


def _told(view: MemberView, used: int) -> MemberView:
    told = replace(view, seats=Seats(used, view.capacity))
    return replace(told, refusal=refusal(told, 0))


POLICIES: dict[str, Maker] = {
    "random 50/50/50": EqualRandom,
    "rendezvous by seats": PlainRendezvous,
    "federation-redirect": FederationRedirect,
    "ours, redirect": OursRedirecting,
    "ours, relay": Ours,
}
