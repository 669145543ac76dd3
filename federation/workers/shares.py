"""How the free seats of a member are shared out among workers that decide at the same time. Knows no worker.

Between two pictures a worker starts no more launches than its share, and the shares of all add up to what is free: so
they never take one seat twice, whoever is quicker. What does not divide is given in turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isinf


def share(free: float, place: int, of: int, turn: int) -> float:
    """The seats that are for the worker at `place`, from 0, among `of`. Infinite seats are so for everyone."""
    if isinf(free):
        return inf
    each, rest = divmod(max(0, int(free)), of)
    return each + ((place + turn) % of < rest)


def scarce(frees: Iterable[float], of: int) -> bool:
    """Whether some worker has no seat where another one has: then turns must change."""
    return any(0 < free < of for free in frees)
