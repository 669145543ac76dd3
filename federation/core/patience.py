"""For how long a launch may stand in a phase on a member before it counts as stuck. Knows no clock and no member.

The limit is three times what 95 % of the member's own launches took for this phase, from the last fifty of them.
To try again elsewhere after the 95th percentile bounds the needless second tries to a twentieth (J. Dean and
L. A. Barroso, "The tail at scale", 2013); a launch is dear, and some have more to do than others, so three times
as much is allowed. A percentile is not moved by the one or two launches that nearly got stuck themselves, and one
that never came through its phase is not in it at all. A member that slows down teaches its own slowness, but
never beyond the configured default.

What stands still in a build is told by silence, and how long a build is silent depends on the repository, not on
the member: there the default stays, as in every phase that is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

PHASES = frozenset({"connecting", "waiting", "fetching", "pushing", "built", "launching"})
MOST = 50  # durations kept of each phase
FEWEST = 8  # with fewer the default stays
_QUANTILE = 0.95
_TIMES = 3.0
LEAST = 10.0  # seconds: a pause of the member or of a network is no standstill


def _none() -> Mapping[str, tuple[float, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class History:
    """Seconds that launches on one member stood in a phase, by phase, the newest last."""

    seconds: Mapping[str, tuple[float, ...]] = field(default_factory=_none)


def noted(history: History, phase: str, seconds: float) -> History:
    """With one more launch that came through a phase. What cannot be a duration, or is of no use, is dropped."""
    if phase not in PHASES or not math.isfinite(seconds) or seconds < 0:
        return history
    lately = (*history.seconds.get(phase, ()), seconds)[-MOST:]
    return History(MappingProxyType({**history.seconds, phase: lately}))


def limit(history: History, phase: str, default: float) -> float:
    """Seconds that a launch may stand in this phase, never more than `default`."""
    lately = history.seconds.get(phase, ())
    if len(lately) < FEWEST:
        return default
    return min(default, max(LEAST, _TIMES * _quantile(lately)))


def _quantile(values: tuple[float, ...]) -> float:
    """The smallest of them that so large a share does not exceed (nearest rank)."""
    return sorted(values)[math.ceil(_QUANTILE * len(values)) - 1]
