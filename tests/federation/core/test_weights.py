from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from federation.core.model import State
from federation.core.weights import KNEE, LEAST, RAMP_FROM, ramp, room, settled

FACTORS = st.floats(0, 1.2)
WOBBLES = st.lists(st.floats(0.9, 1.1), min_size=1, max_size=30)


@given(FACTORS, FACTORS, WOBBLES)
@example(0.5, 0.95, [0.9, 1.1, 0.9, 1.1])  # now and then it touches the whole
@example(1.0, 0.75, [0.9, 1.1, 0.9, 1.1])
@example(0.3, 0.738, [1.1, 0.9])
@example(0.3, 0.8, [0.9, 1.1, 0.9, 1.1])
@settings(max_examples=1000)
def test_figures_that_wobble_by_a_tenth_change_a_factor_once_at_most(
    first: float, base: float, wobbles: list[float]
) -> None:
    used = [min(1.0, first)]
    for wobble in wobbles:
        used.append(settled(used[-1], base * wobble))
    assert sum(one != other for one, other in pairwise(used)) <= 1


@given(FACTORS, st.floats(-0.5, 1.5))
def test_a_settled_factor_is_a_share_and_settles_at_once(before: float, now: float) -> None:
    used = settled(before, now)
    assert 0.0 <= used <= 1.0
    assert settled(used, now) == used


@given(FACTORS, st.floats(0.001, 1.0))
def test_a_settled_factor_is_never_far_from_what_was_computed(before: float, now: float) -> None:
    assert now * 0.66 <= settled(before, now) <= now / 0.66


def test_the_whole_and_nothing_are_taken_at_once() -> None:
    assert settled(0.9, 1.0) == 1.0 and settled(0.81, 1.3) == 1.0
    assert settled(0.001, 0.0) == 0.0 and settled(1.0, -1.0) == 0.0
    assert settled(0.0, 0.2) == 0.2


def test_a_slow_start_reaches_the_whole_in_few_steps() -> None:
    used = [0.1]
    for second in range(121):
        used.append(settled(used[-1], ramp(State.RECOVERING, second, 120)))
    assert used[-1] == 1.0
    assert 3 <= len(set(used)) <= 10


@given(st.integers(0, 500), st.integers(1, 500))
def test_room_is_whole_until_a_quarter_is_left_and_then_falls(free: int, capacity: int) -> None:
    share = room(free, capacity)
    assert LEAST <= share <= 1.0
    assert (share == 1.0) == (free / capacity / KNEE >= 1)
    assert room(free + 1, capacity) >= share


def test_room_that_is_not_known_takes_nothing() -> None:
    assert room(None, None) == room(None, 10) == room(3, None) == 1.0


@pytest.mark.parametrize("state", [state for state in State if state is not State.RECOVERING])
def test_only_one_that_comes_back_starts_slowly(state: State) -> None:
    assert ramp(state, 0.0, 120.0) == 1.0


@given(st.floats(-1e6, 1e6), st.floats(0.1, 1e4))
def test_a_ramp_goes_from_a_tenth_to_the_whole_whatever_the_clock_does(elapsed: float, length: float) -> None:
    share = ramp(State.RECOVERING, elapsed, length)
    assert RAMP_FROM <= share <= 1.0
    assert share == pytest.approx(1.0) or elapsed < length
    assert ramp(State.RECOVERING, elapsed + 1, length) >= share
