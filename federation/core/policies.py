"""The orders in which members may be tried: a table from name to policy. Knows no health.

A policy takes the launch's key, the table of members and a dice (a function giving floats in [0, 1)), and gives
the members' indices, best first and each once; it is asked for no more of them than are needed. Members without
weight may be left out. A new policy is one function and one row of `POLICIES`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from federation.core.hashing import score
from federation.core.ordertable import OrderTable

Dice = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Policy:
    """`score` explains a member's place. `why` is said of the first in order, `why_next` of a later one that took
    its place."""

    order: Callable[[str, OrderTable, Dice], Iterable[int]]
    score: Callable[[str, OrderTable, int], float]
    why: str
    why_next: str


def rendezvous(key: str, table: OrderTable, dice: Dice) -> Iterable[int]:
    """A repository keeps its member as long as that member is there."""
    return table.order(key)


def weighted_random(key: str, table: OrderTable, dice: Dice) -> Iterator[int]:
    """Each launch is thrown anew; of those not thrown yet a member is next in its weight's share.

    A throw at one that was thrown already is made again. Past two for each member, what is left is drawn at once,
    by the scores of Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006: the same shares.
    """
    weights, heaped = table.weights, table.heaped
    thrown: set[int] = set()
    for _ in range(2 * len(weights)):
        index = bisect_right(heaped, dice() * heaped[-1])
        if index < len(weights) and index not in thrown:  # sums of floats may end a hair too early
            thrown.add(index)
            yield index
    left = [index for index, weight in enumerate(weights) if weight > 0 and index not in thrown]
    drawn = [(score(weights[index], dice()), table.names[index], index) for index in left]
    yield from (index for _, _, index in sorted(drawn, reverse=True))


def _rendezvous_score(key: str, table: OrderTable, index: int) -> float:
    return table.score(key, index)


def _chance(key: str, table: OrderTable, index: int) -> float:
    """The share of launches that a member is first for."""
    return table.weights[index] / table.heaped[-1]


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "rendezvous": Policy(
            rendezvous,
            _rendezvous_score,
            "this repository's own member",
            "the next in this repository's order",
        ),
        "random": Policy(weighted_random, _chance, "drawn by weight", "drawn by weight, after others"),
    }
)
