"""Shares add up to what is free, and everybody has a turn."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from federation.workers.shares import scarce, share

workers = st.integers(1, 64)
turns = st.integers(0, 10**6)


@given(st.integers(0, 1000), workers, turns)
def test_shares_add_up(free: int, of: int, turn: int) -> None:
    shares = [share(free, place, of, turn) for place in range(of)]
    assert sum(shares) == free
    assert max(shares) - min(shares) <= 1


@given(st.integers(1, 1000), workers, turns)
def test_everybody_has_a_turn(free: int, of: int, turn: int) -> None:
    for place in range(of):
        assert any(share(free, place, of, turn + more) for more in range(of))


@given(workers, turns)
def test_what_nothing_limits_is_not_shared(of: int, turn: int) -> None:
    assert share(inf, of - 1, of, turn) == inf


def test_seats_are_scarce_when_one_worker_has_none() -> None:
    assert scarce([inf, 1], 2)
    assert not scarce([0, 2, inf], 2)
