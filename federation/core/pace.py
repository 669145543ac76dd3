"""How fast a queue moves, and how long a wait is therefore. Knows no queue and reads no clock.

Seats often come free in clumps, when a member's numbers arrive. Admissions within a second are one moment
therefore, and moments are what is remembered: one clump alone says nothing of the time until the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MOMENT = 1.0  # seconds
KEPT = 24  # moments
REMEMBERED = 600.0  # seconds without anybody waiting, after which the pace of before says nothing any more

# Up to so many seconds, an estimate is told in steps of so many.
_STEPS = ((30.0, 5.0), (120.0, 10.0), (600.0, 30.0))
_COARSEST = 60.0


@dataclass(frozen=True, slots=True)
class Moment:
    """So many admissions from `first` to `last`, in seconds."""

    first: float
    last: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Pace:
    """The latest moments in which somebody was admitted, oldest first."""

    moments: tuple[Moment, ...] = ()


def noted(pace: Pace, now: float) -> Pace:
    """One more admission. A clock that was set back counts as one that stood still."""
    if not pace.moments:
        return Pace((Moment(now, now),))
    latest = pace.moments[-1]
    now = max(now, latest.last)
    if now - latest.first < MOMENT:
        return Pace((*pace.moments[:-1], Moment(latest.first, now, latest.count + 1)))
    return Pace((*pace.moments, Moment(now, now))[-KEPT:])


def rested(pace: Pace, seconds: float) -> Pace:
    """The pace after a time in which nobody waited: it says nothing of how often a seat comes free."""
    if seconds > REMEMBERED:
        return Pace()
    return Pace(
        tuple(
            replace(moment, first=moment.first + seconds, last=moment.last + seconds)
            for moment in pace.moments
        )
    )


def estimate(pace: Pace, position: int, now: float) -> float | None:
    """Seconds until the one at this position (1 is next) is admitted, None when nothing is known.

    Position times the mean gap of the admissions remembered. Once the present silence is longer than that gap,
    it counts as one gap more, so that a queue that stands still promises less from second to second. When seats
    come free independently of each other (a Poisson process), the wait is Erlang distributed with deviation
    1/√position: whoever is among the first few cannot be told much better than the order of magnitude.
    """
    if len(pace.moments) < 2:
        return None
    begun = pace.moments[0].last
    admitted = sum(moment.count for moment in pace.moments[1:])
    gap = max((pace.moments[-1].last - begun) / admitted, (now - begun) / (admitted + 1))
    return position * gap


def rounded(seconds: float) -> float:
    """As it is told to a visitor: in steps that grow with the length, and never nothing."""
    step = next((step for limit, step in _STEPS if seconds <= limit), _COARSEST)
    return max(step, step * round(seconds / step))
