"""The state machine of a member's health: a table and a pure step. Knows no probe, no clock and no member.

Rules of the file: looks are counted in runs; a run that is long enough becomes an event of its own; an event
that the table does not name leaves the state as it is. From `unknown` a single look decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from federation.core.model import State
from federation.core.rules import HealthRules


class Event(StrEnum):
    GOOD = "good"  # one look found the member well
    BAD = "bad"  # one look did not
    ROSE = "rose"  # `rise` good looks in a row
    FELL = "fell"  # `fall` bad looks in a row
    DRAIN = "drain"  # the operator's wish
    UNDRAIN = "undrain"


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.UNKNOWN, Event.GOOD): State.HEALTHY,
        (State.UNKNOWN, Event.BAD): State.EJECTED,
        (State.UNKNOWN, Event.DRAIN): State.DRAINED,
        (State.HEALTHY, Event.FELL): State.EJECTED,
        (State.HEALTHY, Event.DRAIN): State.DRAINED,
        (State.EJECTED, Event.ROSE): State.HEALTHY,
        (State.EJECTED, Event.DRAIN): State.DRAINED,
        (State.DRAINED, Event.UNDRAIN): State.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A member's state with the lengths of its present runs of good and bad looks."""

    state: State = State.UNKNOWN
    good: int = 0
    bad: int = 0


def step(standing: Standing, event: Event, rules: HealthRules) -> Standing:
    """What one event makes of a standing."""
    match event:
        case Event.GOOD:
            standing = replace(standing, good=standing.good + 1, bad=0)
            run = Event.ROSE if standing.good >= rules.rise else None
        case Event.BAD:
            standing = replace(standing, good=0, bad=standing.bad + 1)
            run = Event.FELL if standing.bad >= rules.fall else None
        case _:
            run = None
    state = TRANSITIONS.get((standing.state, event))
    if state is None and run is not None:
        state = TRANSITIONS.get((standing.state, run))
    return standing if state is None else replace(standing, state=state)


def doubtful(standing: Standing, rules: HealthRules) -> bool:
    """Whether a member that takes launches has begun to look bad: worth looking again earlier."""
    return standing.state is State.HEALTHY and 0 < standing.bad < rules.fall
