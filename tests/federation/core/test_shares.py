"""Expected and actual shares of launches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from federation.core.model import Member, MemberView, State
from federation.core.shares import actual, expected


def view(name: str, weight: float, refusal: str | None = None) -> MemberView:
    return MemberView(Member(name, "http://m", weight), State.HEALTHY, weight=weight, refusal=refusal)


def test_only_members_that_take_launches_have_a_share() -> None:
    views = [view("a", 3), view("b", 1), view("full", 6, "full")]
    assert expected(views) == {"a": 0.75, "b": 0.25, "full": 0}
    assert expected([view("full", 6, "full")]) == {"full": 0}


def test_the_actual_share_is_of_the_members_that_are_there() -> None:
    assert actual({"a": 3, "b": 1, "gone": 50}, ["a", "b", "new"]) == {"a": 0.75, "b": 0.25, "new": 0}
    assert actual({"gone": 50}, ["a"]) is None


@given(st.lists(st.tuples(st.floats(0, 1e9), st.booleans()), max_size=8))
def test_shares_are_whole_or_nothing(told: list[tuple[float, bool]]) -> None:
    views = [view(str(n), weight, None if takes else "ill") for n, (weight, takes) in enumerate(told)]
    total = sum(expected(views).values())
    assert total == approx(1 if any(weight and takes for weight, takes in told) else 0)
