"""The orders in which members may be tried: a table from name to pure function. Knows no health.

A policy takes the launch's key, the members' snapshots and a dice (a function giving floats in [0, 1)), and
returns every member with weight, best first. A new policy is one function and one row of `POLICIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from federation.core.hashing import draw, score
from federation.core.model import Candidate, MemberView

Dice = Callable[[], float]
Policy = Callable[[str, Sequence[MemberView], Dice], tuple[Candidate, ...]]


def rendezvous(key: str, views: Sequence[MemberView], dice: Dice) -> tuple[Candidate, ...]:
    """A repository keeps its member as long as that member is there."""
    return _best_first((view, draw(key, view.member.name)) for view in views)


def weighted_random(key: str, views: Sequence[MemberView], dice: Dice) -> tuple[Candidate, ...]:
    """Each launch is thrown anew; a member comes first in its weight's share of launches."""
    return _best_first((view, dice()) for view in views)


def _weight(view: MemberView) -> float:
    return view.weight or view.member.weight  # a last resort has no weight of its own


def _best_first(drawn: Iterable[tuple[MemberView, float]]) -> tuple[Candidate, ...]:
    candidates = [Candidate(view, score(_weight(view), unit)) for view, unit in drawn if _weight(view) > 0]
    return tuple(sorted(candidates, key=lambda c: (c.score, c.view.member.name), reverse=True))


POLICIES: Mapping[str, Policy] = MappingProxyType({"rendezvous": rendezvous, "random": weighted_random})
WHY: Mapping[str, str] = MappingProxyType(
    {"rendezvous": "this repository's own member", "random": "drawn by weight"}
)
