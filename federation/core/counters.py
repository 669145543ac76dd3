"""Counters that processes keep of their launches, as what they grew by between two readings. Knows no wire.

Rules of the file: a counter of one process never falls and never vanishes; when one does, that process began anew
and all its counters with it, as Prometheus takes it too. A process that is seen for the first time tells nothing
yet, for nobody knows when it counted what it did. One that is missing for a while is remembered, for so long as
what it has counted meanwhile still speaks of the present.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from federation.core.model import Tally


@dataclass(frozen=True, slots=True)
class Count:
    """What one process had counted by `at` (seconds since the epoch), under keys such as the launches' status."""

    at: float
    values: Mapping[str, float]


Counts = Mapping[str, Count]  # by process


class Blame(StrEnum):
    """What a status says of the member."""

    GOOD = "good"
    BAD = "bad"
    NONE = "none"


# Statuses of `binderhub_launch_time_seconds` and `binderhub_launch_count`. Failed builds, which are the
# repository's, are counted elsewhere and never read. A status that is not named here says nothing.
BLAME: Mapping[str, Blame] = MappingProxyType(
    {
        "success": Blame.GOOD,
        "failure": Blame.BAD,  # the image was there, and no server of it could be started
        "retry": Blame.NONE,  # one attempt; the launch went on, and its end is counted
        "pod_quota": Blame.NONE,  # full, which is no illness
        "repo_quota": Blame.NONE,  # a rule of the member's for one repository
    }
)


def grown(before: Counts, after: Counts, longest: float) -> dict[str, float]:
    """What the counters grew by, over all processes. More than `longest` seconds between two readings of a
    process count as nothing: that is no news any more."""
    total: defaultdict[str, float] = defaultdict(float)
    for process, count in after.items():
        old = before.get(process)
        if old is not None and 0 <= count.at - old.at <= longest:
            for key, more in _since(old, count):
                total[key] += more
    return dict(total)


def remembered(before: Counts, after: Counts, now: float, longest: float) -> Counts:
    """What the next reading is compared with."""
    kept = {process: count for process, count in before.items() if now - count.at <= longest}
    return MappingProxyType({**kept, **after})


def tally(more: Mapping[str, float]) -> Tally:
    """Launches by status as those that speak for the member, and against it."""
    counted = dict.fromkeys(Blame, 0.0)
    for status, number in more.items():
        counted[BLAME.get(status, Blame.NONE)] += number
    return Tally(good=round(counted[Blame.GOOD]), bad=round(counted[Blame.BAD]))


def _since(old: Count, new: Count) -> list[tuple[str, float]]:
    anew = any(new.values.get(key, 0.0) < value for key, value in old.values.items())
    base: Mapping[str, float] = {} if anew else old.values
    return [(key, value - base.get(key, 0.0)) for key, value in new.values.items()]
