"""The state machine of a member's health: a table and a pure step. Knows no probe, no clock and no member.

Rules of the file: looks are counted in runs; a run that is long enough becomes an event of its own; an event
that the table does not name leaves the state as it is. From `unknown` a single look decides. How launches end
overrules looks: a member that was ejected for its launches comes back by a launch, never by a look alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from federation.core.model import TAKING, State
from federation.core.rules import HealthRules


class Event(StrEnum):
    GOOD = "good"  # one look found the member well
    BAD = "bad"  # one look did not
    FELL = "fell"  # `fall` bad looks in a row
    SICK = "sick"  # its launches fail, and those of others do not
    STRAINED = "strained"  # it cannot do all that launches need, or runs other versions than most
    EASED = "eased"
    ARRIVE = "arrive"  # looks are good; it never took a launch, so nothing has to be regained
    RETURN = "return"  # the back-off is over and looks are good; it was ejected for bad looks
    RETRY = "retry"  # the same, for one that was ejected for its launches
    PROVED = "proved"  # a launch on trial was ready
    FAILED = "failed"  # a launch on trial was not, and it was the member's fault
    RAMPED = "ramped"  # the slow start is over
    DRAIN = "drain"  # the operator's wish
    UNDRAIN = "undrain"


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.UNKNOWN, Event.GOOD): State.HEALTHY,
        (State.UNKNOWN, Event.BAD): State.EJECTED,
        (State.UNKNOWN, Event.DRAIN): State.DRAINED,
        (State.HEALTHY, Event.FELL): State.EJECTED,
        (State.HEALTHY, Event.SICK): State.EJECTED,
        (State.HEALTHY, Event.STRAINED): State.DEGRADED,
        (State.HEALTHY, Event.DRAIN): State.DRAINED,
        (State.DEGRADED, Event.EASED): State.HEALTHY,
        (State.DEGRADED, Event.FELL): State.EJECTED,
        (State.DEGRADED, Event.SICK): State.EJECTED,
        (State.DEGRADED, Event.DRAIN): State.DRAINED,
        (State.EJECTED, Event.ARRIVE): State.HEALTHY,
        (State.EJECTED, Event.RETURN): State.RECOVERING,
        (State.EJECTED, Event.RETRY): State.TRIAL,
        (State.EJECTED, Event.DRAIN): State.DRAINED,
        (State.TRIAL, Event.PROVED): State.RECOVERING,
        (State.TRIAL, Event.FAILED): State.EJECTED,
        (State.TRIAL, Event.FELL): State.EJECTED,
        (State.TRIAL, Event.DRAIN): State.DRAINED,
        (State.RECOVERING, Event.RAMPED): State.HEALTHY,
        (State.RECOVERING, Event.FELL): State.EJECTED,
        (State.RECOVERING, Event.SICK): State.EJECTED,
        (State.RECOVERING, Event.DRAIN): State.DRAINED,
        (State.DRAINED, Event.UNDRAIN): State.UNKNOWN,
    }
)
_BY_LAUNCHES = (Event.SICK, Event.FAILED)


@dataclass(frozen=True, slots=True)
class Standing:
    """A member's state with the lengths of its present runs of good and bad looks.

    `since` is when it came into the state. Of the last ejection: `by_launches` tells that launches were the
    reason, `until` is the end of the back-off, `ejections` how many followed each other closely. Times are
    seconds since the epoch.
    """

    state: State = State.UNKNOWN
    good: int = 0
    bad: int = 0
    since: float = 0.0
    by_launches: bool = False
    until: float = 0.0
    ejections: int = 0


def step(standing: Standing, event: Event, rules: HealthRules, now: float, unit: float = 0.5) -> Standing:
    """What one event makes of a standing. `unit` in [0, 1) is thrown for the back-off's jitter."""
    match event:
        case Event.GOOD:
            standing = replace(standing, good=standing.good + 1, bad=0)
        case Event.BAD:
            standing = replace(standing, good=0, bad=standing.bad + 1)
        case _:
            pass
    events = [event]
    if event is Event.BAD and standing.bad >= rules.fall:
        events.append(Event.FELL)
    if event is Event.GOOD and (due := overdue(standing, rules, now)) is not None:
        events.append(due)
    for each in events:
        state = TRANSITIONS.get((standing.state, each))
        if state is not None:
            return _entered(standing, state, each, rules, now, unit)
    return standing


def overdue(standing: Standing, rules: HealthRules, now: float) -> Event | None:
    """What time alone makes of a standing: the event that is due, if any. A clock that was set back to before the state
    began ends its time: nobody must wait until the clock is there again."""
    match standing.state:
        case State.EJECTED if standing.good >= rules.rise and not standing.since <= now < standing.until:
            if standing.by_launches:
                return Event.RETRY
            return Event.RETURN if standing.ejections else Event.ARRIVE
        case State.RECOVERING if not 0 <= now - standing.since < rules.slow_start:
            return Event.RAMPED
        case _:
            return None


def doubtful(standing: Standing, rules: HealthRules) -> bool:
    """Whether a member that takes launches has begun to look bad: worth looking again earlier."""
    return standing.state in TAKING and 0 < standing.bad < rules.fall


def backoff(ejections: int, rules: HealthRules, unit: float) -> float:
    """Seconds of the `ejections`-th ejection in a row: doubled each time, bounded, spread by a tenth so that members
    that fell together do not come back together."""
    seconds = rules.eject_base * 2.0 ** min(ejections - 1, 30)
    return float(min(seconds, rules.eject_max) * (1 + 0.1 * unit))


def _entered(
    standing: Standing, state: State, event: Event, rules: HealthRules, now: float, unit: float
) -> Standing:
    if state is not State.EJECTED:
        return replace(standing, state=state, since=now)
    # One that was never trusted has betrayed nobody: it comes in as soon as it looks well.
    betrayed = standing.state is not State.UNKNOWN
    lasted = standing.state in (State.HEALTHY, State.DEGRADED) and now - standing.since > rules.eject_max
    ejections = (0 if lasted else standing.ejections) + 1 if betrayed else standing.ejections
    return replace(
        standing,
        state=state,
        since=now,
        good=0,
        by_launches=event in _BY_LAUNCHES or standing.state is State.TRIAL,
        ejections=ejections,
        until=now + backoff(ejections, rules, unit) if betrayed else now,
    )
