from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.pace import KEPT, REMEMBERED, Pace, estimate, noted, rested, rounded

TIMES = st.lists(st.floats(0, 1e4), min_size=1, max_size=80).map(sorted)


def pace_of(*times: float) -> Pace:
    pace = Pace()
    for time in times:
        pace = noted(pace, time)
    return pace


def test_a_steady_pace() -> None:
    pace = pace_of(*range(0, 300, 3))
    assert len(pace.moments) == KEPT
    assert estimate(pace, 1, 297.0) == pytest.approx(3.0)
    assert estimate(pace, 20, 297.0) == pytest.approx(60.0)


def test_nothing_is_promised_before_two_moments_are_known() -> None:
    assert estimate(Pace(), 1, 10.0) is None
    assert estimate(pace_of(5.0), 1, 10.0) is None
    assert estimate(pace_of(*[5.0 + n / 100 for n in range(60)]), 1, 10.0) is None, "one clump"
    assert estimate(pace_of(5.0, 7.0), 1, 7.0) == pytest.approx(2.0)


def test_clumps_of_seats_are_as_good_as_single_ones() -> None:
    pace = pace_of(*(10.0 * clump + n / 100 for clump in range(10) for n in range(5)))
    assert estimate(pace, 10, 90.05) == pytest.approx(20.0, rel=0.02)


def test_seats_by_the_hundred_within_a_second() -> None:
    pace = pace_of(*(n / 100 for n in range(1000)))
    assert estimate(pace, 100, 10.0) == pytest.approx(1.0, rel=0.05)


@given(TIMES, st.integers(1, 500), st.floats(0, 1e4), st.floats(0, 1e4))
def test_a_pace_that_stopped_promises_less_and_less(
    times: list[float], position: int, one: float, more: float
) -> None:
    pace = pace_of(*times)
    soon = estimate(pace, position, times[-1] + one)
    later = estimate(pace, position, times[-1] + one + more)
    assert (soon is None) is (later is None)
    if soon is not None and later is not None:
        assert 0 <= soon <= later


def test_a_silence_makes_itself_felt() -> None:
    pace = pace_of(*range(24))
    assert (estimate(pace, 1, 23 + 120.0) or 0) > 5 * (estimate(pace, 1, 23.0) or 0)


@given(TIMES, st.integers(1, 500), st.integers(1, 500), st.floats(0, 100))
def test_who_stands_further_back_waits_longer(times: list[float], one: int, other: int, age: float) -> None:
    estimates = [estimate(pace_of(*times), position, times[-1] + age) for position in sorted((one, other))]
    if estimates[0] is not None and estimates[1] is not None:
        assert estimates[0] <= estimates[1]


@given(st.lists(st.floats(0, 100), max_size=80))
def test_a_clock_that_is_set_back_does_no_harm(times: list[float]) -> None:
    pace = pace_of(*times)
    assert len(pace.moments) <= KEPT
    known = [time for moment in pace.moments for time in (moment.first, moment.last)]
    assert known == sorted(known)
    for now in (0.0, 200.0):
        assert (estimate(pace, 3, now) or 0) >= 0


def test_a_time_without_anybody_waiting_says_nothing() -> None:
    pace = pace_of(*range(24))
    assert estimate(rested(pace, 300.0), 4, 323.0) == pytest.approx(estimate(pace, 4, 23.0))
    assert rested(pace, REMEMBERED + 1) == Pace()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate", [0.1, 0.5, 5.0])
def test_four_of_five_are_told_within_a_half(seed: int, rate: float) -> None:
    """A busy hour: 60 to 200 wait, seats come free one by one and independently of each other."""
    dice = random.Random(seed)
    pace, now = Pace(), 0.0
    waiting: list[tuple[float, float | None]] = []  # when each came, and what it was told
    good = told = 0
    for _ in range(3000):
        now += dice.expovariate(rate)
        if waiting:
            came, promise = waiting.pop(0)
            pace = noted(pace, now)
            if promise is not None:
                told += 1
                good += abs(promise - (now - came)) <= 0.5 * (now - came)
        for _ in range(dice.choice((0, 1, 2)) if 60 < len(waiting) < 200 else 3 * (len(waiting) <= 60)):
            came = now + dice.random() / rate / 10
            waiting.append((came, estimate(pace, len(waiting) + 1, came)))
    assert told > 2500
    assert good >= 0.8 * told


def test_told_in_steps() -> None:
    assert [rounded(seconds) for seconds in (0.0, 3.0, 8.0, 33.0, 118.0, 200.0, 590.0, 1000.0)] == [
        5.0, 5.0, 10.0, 30.0, 120.0, 210.0, 600.0, 1020.0,
    ]  # fmt: skip


@given(st.floats(5, 1e5))
def test_rounding_stays_near(seconds: float) -> None:
    assert abs(rounded(seconds) - seconds) <= max(2.5, 0.17 * seconds)
