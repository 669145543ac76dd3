from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.core.intake import FIRST, LEAST, MOST, failed, proved, rested

LIMITS = st.integers(LEAST, MOST)


def test_a_full_round_of_good_launches_at_most_doubles_what_may_come() -> None:
    limit = FIRST
    for left in range(FIRST, 0, -1):  # they end one after the other, and none comes after them
        limit = proved(limit, left)
    assert FIRST < limit <= 2 * FIRST


@given(LIMITS, st.integers(0, MOST))
def test_room_that_was_not_used_proves_nothing(limit: int, under_way: int) -> None:
    grown = proved(limit, under_way)
    assert grown == limit or under_way >= limit / 2
    assert limit <= grown <= min(MOST, limit + 1)


@given(LIMITS)
def test_a_failure_halves_and_never_shuts(limit: int) -> None:
    assert LEAST <= failed(limit) <= max(LEAST, limit / 2)


@given(LIMITS)
def test_in_time_every_limit_comes_back_to_the_first(limit: int) -> None:
    for _ in range(200):
        after = rested(limit)
        assert abs(after - FIRST) < abs(limit - FIRST) or after == limit == FIRST
        limit = after
    assert limit == FIRST
