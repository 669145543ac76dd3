"""How often each repository is launched on mybinder.org: 50 counted, the others modelled. Reads `benchmarks/data`.

The model of the others: launches fall by a power of the rank (Zipf), from the last one counted down to one launch in
90 days, and together make up the known rest. That leaves one exponent, and with it their number.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Popularity:
    """Keys as the front door makes them of launches, with the launches of 90 days, most launched first."""

    keys: tuple[str, ...]
    launches: tuple[float, ...]
    counted: int  # the first of them are counted, the others modelled
    exponent: float

    def sample(self, count: int, dice: Random) -> list[str]:
        """So many launches, each by its repository's share."""
        return dice.choices(self.keys, cum_weights=list(accumulate(self.launches)), k=count)


def popularity() -> Popularity:
    top = _column("mybinder_top50_specs_90d.csv")
    rest = sum(_column("mybinder_providers_90d.csv").values()) - sum(top.values())
    exponent = _exponent(min(top.values()), len(top), rest)
    tail = _tail(min(top.values()), len(top), exponent)
    return Popularity(
        keys=(
            *(f"/build/gh/{spec.lower()}" for spec in top),
            *(f"/build/gh/other/{n}" for n in range(len(tail))),
        ),
        launches=(*top.values(), *tail),
        counted=len(top),
        exponent=exponent,
    )


def _column(name: str) -> dict[str, float]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return {row[0]: float(row[1]) for row in list(csv.reader(file))[1:]}


def _tail(last: float, rank: int, exponent: float) -> Sequence[float]:
    """Launches of the ranks after this one, down to one launch."""
    end = int(rank * last ** (1 / exponent))
    return [last * (rank / r) ** exponent for r in range(rank + 1, end + 1)]


def _exponent(last: float, rank: int, rest: float) -> float:
    """The exponent whose tail sums to `rest`: the steeper the fewer, so it is found by halving."""
    low, high = 0.8, 2.0
    for _ in range(30):
        middle = (low + high) / 2
        if sum(_tail(last, rank, middle)) > rest:
            low = middle
        else:
            high = middle
    return high
