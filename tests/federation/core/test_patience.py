from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.patience import FEWEST, LEAST, MOST, PHASES, History, limit, noted

DEFAULT = 90.0


def taught(*seconds: float, phase: str = "launching") -> History:
    history = History()
    for one in seconds:
        history = noted(history, phase, one)
    return history


@pytest.mark.parametrize("phase", sorted(PHASES))
def test_a_usual_duration_is_learned_from_eight_launches_on(phase: str) -> None:
    few = taught(*[6.0] * (FEWEST - 1), phase=phase)
    assert limit(few, phase, DEFAULT) == DEFAULT
    assert limit(noted(few, phase, 6.0), phase, DEFAULT) == 18.0


def test_each_phase_has_its_own_limit() -> None:
    history = taught(*[6.0] * 20)
    assert limit(history, "waiting", DEFAULT) == DEFAULT
    for _ in range(20):
        history = noted(history, "waiting", 10.0)
    assert (limit(history, "launching", DEFAULT), limit(history, "waiting", DEFAULT)) == (18.0, 30.0)


@pytest.mark.parametrize("phase", ["building", "a member's own word", ""])
def test_what_a_repository_or_nobody_answers_for_keeps_the_default(phase: str) -> None:
    history = taught(*[6.0] * 20, phase=phase)
    assert history == History() and limit(history, phase, DEFAULT) == DEFAULT


def test_one_or_two_that_nearly_got_stuck_do_not_move_it() -> None:
    assert limit(taught(*[6.0] * 48, 80.0, 85.0), "launching", DEFAULT) == 18.0


def test_a_member_whose_images_are_often_pulled_is_given_the_time_for_it() -> None:
    assert limit(taught(*[2.0, 2.0, 2.0, 2.0, 25.0] * 10), "launching", DEFAULT) == 75.0


def test_it_forgets_what_was_fifty_launches_ago() -> None:
    history = taught(*[20.0] * MOST, *[5.0] * MOST)
    assert limit(history, "launching", DEFAULT) == 15.0
    assert len(history.seconds["launching"]) == MOST


def test_a_quick_member_is_still_given_a_moment_and_never_more_than_the_default() -> None:
    assert limit(taught(*[0.01] * 20), "launching", DEFAULT) == LEAST
    assert limit(taught(*[0.01] * 20), "launching", 2.0) == 2.0
    assert limit(taught(*[300.0] * 20), "launching", DEFAULT) == DEFAULT


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_what_is_no_duration_is_dropped(seconds: float) -> None:
    assert noted(History(), "launching", seconds) == History()


@given(st.lists(st.floats(0.0, 1e6), max_size=120), st.floats(0.1, 1e4), st.floats(0.0, 1e6))
def test_the_limit_is_sound_and_a_slower_launch_never_lowers_it(
    seconds: list[float], default: float, more: float
) -> None:
    history = taught(*seconds)
    found = limit(history, "launching", default)
    assert min(LEAST, default) <= found <= default
    if FEWEST <= len(seconds) < MOST:
        slower = limit(taught(*seconds, max(seconds) + more), "launching", default)
        assert slower >= found
