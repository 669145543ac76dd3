"""The order of members for every key, at a cost that hardly grows with their number. Knows names and weights only.

Two tables keep one promise (`OrderTable`): weighted rendezvous (`hashing`), so that each member is first in its
weight's share of keys, one that goes or comes moves only the keys it had or gets, and so does a changed weight.

`KeyTable` hashes each key with each member, and remembers the orders of the keys seen last. For GitHub
repositories its scores are federation-redirect's. A key never seen costs a hash for each member, hence few.

`SlotTable` hashes the key once, to one of a fixed number of slots, and orders the members for a slot when one of its
keys first comes. A new table costs nothing but that: a member's draws do not depend on the others.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

from federation.core.hashing import SLOTS, draw, score, slot_of, strengths

# No federation of BinderHubs has had more members; at 1 µs a hash, so many cost as much as reading the launch's path.
FEW = 8
REMEMBERED_KEYS = (
    4096  # of 90 days on mybinder.org, the 4096 most launched repositories made some 95 % of launches
)


class OrderTable(Protocol):
    """Members are known by their index in `names`. `heaped` is the running sum of `weights`."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    heaped: tuple[float, ...]

    def order(self, key: str) -> Sequence[int]:
        """All members, best first; those without weight come last."""

    def score(self, key: str, index: int) -> float:
        """What the order is made by; the largest comes first, and of equals the last by name."""


def order_table(members: Iterable[tuple[str, float]]) -> OrderTable:
    """The table for these names with their weights.

    Both kinds agree on everything but where keys fall: the member after the `FEW`-th moves most keys, once.
    """
    weighted = tuple(members)
    names = tuple(name for name, _ in weighted)
    weights = tuple(weight for _, weight in weighted)
    return KeyTable(names, weights) if len(names) <= FEW else SlotTable(names, weights)


class KeyTable:
    """Exact for each key."""

    def __init__(self, names: tuple[str, ...], weights: tuple[float, ...]) -> None:
        self.names, self.weights, self.heaped = names, weights, tuple(accumulate(weights))
        backwards = _backwards(names)

        @lru_cache(maxsize=REMEMBERED_KEYS)
        def order(key: str) -> tuple[int, ...]:
            scores = [score(weight, draw(key, name)) for name, weight in zip(names, weights, strict=True)]
            return _best_first(backwards, scores)

        self._order = order

    def order(self, key: str) -> Sequence[int]:
        return self._order(key)

    def score(self, key: str, index: int) -> float:
        return score(self.weights[index], draw(key, self.names[index]))


class SlotTable:
    """One order for all keys of a slot."""

    def __init__(self, names: tuple[str, ...], weights: tuple[float, ...]) -> None:
        self.names, self.weights, self.heaped = names, weights, tuple(accumulate(weights))
        self._strengths = [strengths(name) for name in names]
        self._backwards = _backwards(names)
        self._orders: list[array[int] | None] = [None] * SLOTS

    def order(self, key: str) -> Sequence[int]:
        slot = slot_of(key)
        found = self._orders[slot]
        if found is None:
            scores = [w * s[slot] for w, s in zip(self.weights, self._strengths, strict=True)]
            found = self._orders[slot] = array("H", _best_first(self._backwards, scores))
        return found

    def score(self, key: str, index: int) -> float:
        return self.weights[index] * self._strengths[index][slot_of(key)]


def _backwards(names: tuple[str, ...]) -> list[int]:
    """Equal scores are ordered by name backwards, as federation-redirect sorts."""
    return sorted(range(len(names)), key=names.__getitem__, reverse=True)


def _best_first(backwards: list[int], scores: list[float]) -> tuple[int, ...]:
    return tuple(sorted(backwards, key=scores.__getitem__, reverse=True))  # equals stay as they are listed
