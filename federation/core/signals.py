"""What Prometheus, or a member's own metrics, tell of a member, and what that is worth. Knows no query and no wire.

Signals are gentle: they lower a member's share and never take all of it. Ejecting is for outcomes and probes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from types import MappingProxyType

from federation.core.model import Signal
from federation.core.rules import PrometheusRules
from federation.core.told import LARGEST_NUMBER

# Signal: what it says. All are optional; what is not known is neutral.
SIGNALS: Mapping[str, str] = MappingProxyType(
    {
        "launch_success": "share of launches of the last minutes that ended well, of 1",
        "launches": "launches of the last minutes, whose share `launch_success` is",
        "launch_seconds": "time that 95 % of launches took at most, in seconds",
        "builds": "builds in progress",
        "launching": "launches in progress",
        "sessions": "running sessions",
        "quota": "sessions that may run",
        "pressure": "share of the nodes that are short of memory, disk or processes, of 1",
    }
)

LEAST = 0.1  # of its share a member keeps, whatever the signals say
CONFIDENCE = 1.96  # standard deviations: 95 %, two-sided


@dataclass(frozen=True, slots=True)
class Influence:
    """What signals do to routing.

    `factor`, in (0, 1], is for the member's weight. `pressure` is the share of its nodes that take no more, which
    speaks for a lower capacity as well. `sessions` and `quota` are seats as Prometheus counts them, None if it does
    not. `why` says in a sentence's part what lowered the factor or was too old; it is empty if nothing.
    """

    factor: float = 1.0
    pressure: float = 0.0
    sessions: int | None = None
    quota: int | None = None
    why: str = ""


def influence(signals: Mapping[str, Signal], now: float, max_age: float) -> Influence:
    """What these signals are worth at `now` (seconds since the epoch). Those older than `max_age` seconds, and
    values that are no figure, count as not known; what is not known is neutral."""
    usable = {name: signal for name, signal in signals.items() if is_usable(signal.value)}
    fresh = {name: signal.value for name, signal in usable.items() if now - signal.at <= max_age}
    reasons = []
    launches = fresh.get("launches", 0.0)
    share = min(1.0, fresh.get("launch_success", 1.0))
    success = upper_bound(share, launches)
    if success < 1.0:
        reasons.append(f"{100 * share:.0f} % of {launches:.0f} launches ended well")
    pressure = min(1.0, fresh.get("pressure", 0.0))
    if pressure > 0.0:
        reasons.append(f"{100 * pressure:.0f} % of its nodes are short of room")
    if len(fresh) < len(usable):
        reasons.append(f"{len(usable) - len(fresh)} signals are too old")
    return Influence(
        factor=max(LEAST, success * (1.0 - pressure)),
        pressure=pressure,
        sessions=_whole(fresh.get("sessions")),
        quota=_whole(fresh.get("quota")),
        why=", ".join(reasons),
    )


def upper_bound(share: float, launches: float) -> float:
    """The best that a member's true share of good launches may be, after it was `share` of so many; 1 after none.

    The upper limit of the score interval of E. B. Wilson, "Probable Inference, the Law of Succession, and
    Statistical Inference", Journal of the American Statistical Association 22 (1927). One failure of one launch
    gives 0.79, of three 0.56, of ten 0.28: few launches weigh little.
    """
    squared = CONFIDENCE * CONFIDENCE
    spread = CONFIDENCE * sqrt(share * (1.0 - share) * launches + squared / 4.0)
    return min(1.0, (share * launches + squared / 2.0 + spread) / (launches + squared))


def is_usable(value: float) -> bool:
    """Whether a figure can be a signal: all of them are shares, numbers or lengths."""
    return isfinite(value) and 0.0 <= value <= LARGEST_NUMBER


def longest_gap(rules: PrometheusRules) -> float:
    """Seconds between two readings of counters after which their growth is no news. A round that failed is not
    yet a gap, however rarely rounds are."""
    return max(rules.max_age, 2.5 * rules.interval)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
