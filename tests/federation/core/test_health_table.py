from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.health import TRANSITIONS, Event, Standing, backoff, doubtful, overdue, step
from federation.core.model import TAKING, State
from federation.core.rules import HealthRules

RULES = HealthRules(fall=2, rise=3, eject_base=10, eject_max=300, slow_start=120)
EVENTS = st.sampled_from(list(Event))
APART = 30.0  # seconds between two events


def after(*events: Event, rules: HealthRules = RULES, standing: Standing | None = None) -> Standing:
    standing = Standing() if standing is None else standing
    for number, event in enumerate(events):
        standing = step(standing, event, rules, standing.since + APART * (number + 1), 0.5)
    return standing


def through(standing: Standing, now: float, *events: Event, rules: HealthRules = RULES) -> Standing:
    """All of them at one moment."""
    for event in events:
        standing = step(standing, event, rules, now, 0.0)
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
        ("bgggb", State.HEALTHY),
        ("bgggbb", State.EJECTED),
        ("bggggggg", State.HEALTHY),
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
    standing, now = Standing(), 0.0
    for letter in events:
        now += APART
        standing = step(standing, letters[letter], RULES, now)
    assert standing.state is state


TIMED = st.lists(
    st.tuples(EVENTS, st.floats(-50, 400)), max_size=40
)  # events, and seconds since the one before


@given(TIMED, st.integers(1, 4), st.integers(1, 4), st.floats(0, 1, exclude_max=True))
def test_every_change_is_a_row_of_the_table(
    events: list[tuple[Event, float]], fall: int, rise: int, unit: float
) -> None:
    rules = HealthRules(fall=fall, rise=rise)
    standing, now = Standing(), 0.0
    for event, gap in events:
        now += gap
        before, standing = standing.state, step(standing, event, rules, now, unit)
        if standing.state is not before:
            assert (before, standing.state) in {(old, new) for (old, _), new in TRANSITIONS.items()}
        assert standing.good == 0 or standing.bad == 0


@given(st.lists(EVENTS, max_size=30))
def test_only_an_undrain_ends_a_drain(events: list[Event]) -> None:
    standing = after(Event.DRAIN)
    for event in events:
        standing = step(standing, event, RULES, 0.0)
        if event is Event.UNDRAIN:
            break
        assert standing.state is State.DRAINED


def test_a_first_bad_look_is_a_doubt_and_an_ejection_is_not() -> None:
    assert not doubtful(after(Event.GOOD), RULES)
    assert doubtful(after(Event.GOOD, Event.BAD), RULES)
    assert not doubtful(after(Event.GOOD, Event.BAD, Event.BAD), RULES)
    assert not doubtful(after(Event.BAD, Event.GOOD), RULES)


OFTEN_LOOKS = st.one_of(st.sampled_from([Event.GOOD, Event.BAD]), EVENTS)


@given(st.lists(st.tuples(OFTEN_LOOKS, st.just(400.0)), max_size=20))
@settings(max_examples=300)
def test_who_was_ejected_for_launches_takes_none_before_a_trial_is_passed(
    events: list[tuple[Event, float]],
) -> None:
    """Whatever looks say, and even when it stops answering while it is on trial."""
    standing, now = after(Event.GOOD, Event.SICK), 1000.0
    for event, gap in events:
        if event in (
            Event.DRAIN,
            Event.RETURN,
            Event.ARRIVE,
        ):  # the operator's wish; and what `overdue` alone may name
            continue
        now += gap
        standing = step(standing, event, RULES, now)
        if standing.state in TAKING and standing.state is not State.TRIAL:
            assert event is Event.PROVED
            return


def test_looks_bring_back_who_fell_by_looks_and_only_to_a_trial_who_fell_by_launches() -> None:
    looks = (Event.GOOD,) * 3
    assert after(Event.GOOD, Event.BAD, Event.BAD, *looks).state is State.RECOVERING
    trial = after(Event.GOOD, Event.SICK, *looks)
    assert trial.state is State.TRIAL and trial.by_launches
    assert after(*looks * 9, standing=trial).state is State.TRIAL
    assert after(Event.PROVED, standing=trial).state is State.RECOVERING
    assert after(Event.FAILED, standing=trial).by_launches


def test_one_that_falls_silent_on_trial_is_still_to_be_tried() -> None:
    trial = after(Event.GOOD, Event.SICK, *(Event.GOOD,) * 3)
    silent = after(Event.BAD, Event.BAD, standing=trial)
    assert silent.state is State.EJECTED
    late = silent.until
    assert through(silent, late, *(Event.GOOD,) * 3).state is State.TRIAL


def test_the_back_off_doubles_to_its_cap_and_begins_anew_after_a_long_good_time() -> None:
    standing, now, lengths = through(Standing(), 0.0, Event.GOOD), 0.0, []
    for _ in range(8):
        standing = through(standing, now, Event.BAD, Event.BAD)
        lengths.append(standing.until - now)
        assert through(standing, standing.until - 0.1, *(Event.GOOD,) * 5).state is State.EJECTED
        now = standing.until
        standing = through(standing, now, *(Event.GOOD,) * 3)
        assert standing.state is State.RECOVERING
    assert lengths == [10, 20, 40, 80, 160, 300, 300, 300]
    well = through(standing, now + RULES.slow_start, Event.GOOD)
    assert well.state is State.HEALTHY
    soon = through(well, well.since + RULES.eject_max, Event.BAD, Event.BAD)
    assert soon.until - soon.since == 300
    later = through(well, well.since + RULES.eject_max + 1, Event.BAD, Event.BAD)
    assert later.until - later.since == 10


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_the_jitter_is_a_tenth_and_members_that_fell_together_differ(ejections: int, unit: float) -> None:
    plain = backoff(ejections, RULES, 0.0)
    assert RULES.eject_base <= plain <= RULES.eject_max
    assert plain <= backoff(ejections, RULES, unit) <= 1.1 * plain
    assert backoff(ejections, RULES, 0.2) < backoff(ejections, RULES, 0.8)


def test_one_that_was_never_trusted_is_not_made_to_wait() -> None:
    refused = through(Standing(), 50.0, Event.BAD)
    assert refused.state is State.EJECTED and refused.ejections == 0
    assert through(refused, 50.0, *(Event.GOOD,) * 3).state is State.HEALTHY


def test_time_alone_ends_a_back_off_and_a_slow_start() -> None:
    out = replace(through(Standing(), 0.0, Event.GOOD, Event.BAD, Event.BAD), good=3)
    assert overdue(out, RULES, 9.9) is None and overdue(out, RULES, 10.0) is Event.RETURN
    assert overdue(replace(out, good=2), RULES, 1e9) is None
    assert overdue(replace(out, by_launches=True), RULES, 10.0) is Event.RETRY
    back = Standing(State.RECOVERING, since=100.0)
    assert overdue(back, RULES, 219.9) is None and overdue(back, RULES, 220.0) is Event.RAMPED


def test_a_clock_that_was_set_back_keeps_nobody_out_for_longer() -> None:
    out = replace(through(Standing(), 9000.0, Event.GOOD, Event.BAD, Event.BAD), good=3)
    assert overdue(out, RULES, 5000.0) is Event.RETURN
    assert overdue(Standing(State.RECOVERING, since=9000.0), RULES, 5000.0) is Event.RAMPED
