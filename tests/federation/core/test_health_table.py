from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.health import TRANSITIONS, Event, Standing, doubtful, step
from federation.core.model import State
from federation.core.rules import HealthRules

RULES = HealthRules(fall=2, rise=3)
EVENTS = st.sampled_from([Event.GOOD, Event.BAD, Event.DRAIN, Event.UNDRAIN])


def after(*events: Event, rules: HealthRules = RULES) -> Standing:
    standing = Standing()
    for event in events:
        standing = step(standing, event, rules)
    return standing


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ("", State.UNKNOWN),
        ("g", State.HEALTHY),
        ("b", State.EJECTED),
        ("gb", State.HEALTHY),
        ("gbb", State.EJECTED),
        ("gbgb", State.HEALTHY),
        ("bgg", State.EJECTED),
        ("bggbgg", State.EJECTED),
        ("bggg", State.HEALTHY),
        ("gd", State.DRAINED),
        ("gdbbggg", State.DRAINED),
        ("bdu", State.UNKNOWN),
        ("bdug", State.HEALTHY),
        ("du", State.UNKNOWN),
        ("gu", State.HEALTHY),
    ],
)
def test_runs_of_looks(events: str, state: State) -> None:
    letters = {"g": Event.GOOD, "b": Event.BAD, "d": Event.DRAIN, "u": Event.UNDRAIN}
    assert after(*(letters[letter] for letter in events)).state is state


@given(st.lists(EVENTS, max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_every_change_is_a_row_of_the_table(events: list[Event], fall: int, rise: int) -> None:
    rules = HealthRules(fall=fall, rise=rise)
    standing = Standing()
    for event in events:
        before, standing = standing.state, step(standing, event, rules)
        if standing.state is not before:
            assert (before, standing.state) in {(old, new) for (old, _), new in TRANSITIONS.items()}
        assert standing.good == 0 or standing.bad == 0


@given(st.lists(EVENTS, max_size=30))
def test_only_an_undrain_ends_a_drain(events: list[Event]) -> None:
    standing = after(Event.DRAIN)
    for event in events:
        standing = step(standing, event, RULES)
        if event is Event.UNDRAIN:
            break
        assert standing.state is State.DRAINED


def test_a_first_bad_look_is_a_doubt_and_an_ejection_is_not() -> None:
    assert not doubtful(after(Event.GOOD), RULES)
    assert doubtful(after(Event.GOOD, Event.BAD), RULES)
    assert not doubtful(after(Event.GOOD, Event.BAD, Event.BAD), RULES)
    assert not doubtful(after(Event.BAD, Event.GOOD), RULES)
