"""How much of the load affinity may give each member."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from federation.core.model import Member, MemberView, Seats, State
from federation.core.rules import PolicyRules
from federation.core.snapshot import HANDFUL, snapshot

RULES = PolicyRules()


def view(
    name: str, used: int = 0, capacity: int | None = None, weight: float = 1.0, **more: Any
) -> MemberView:
    return MemberView(
        Member(name, "http://m", weight),
        more.pop("state", State.HEALTHY),
        seats=Seats(used, capacity),
        capacity=capacity,
        weight=more.pop("effective", weight),
        refusal=None,
        **more,
    )


def test_the_bound_is_the_share_of_seats_times_the_factor_rounded_up() -> None:
    taken = snapshot([view("a", 200, 300), view("b", 60, 180), view("c", 9, 60)], RULES)
    assert taken.load == 269 and taken.capacity == 540
    assert taken.limits == (
        ceil(1.25 * 270 * 300 / 540),
        ceil(1.25 * 270 * 180 / 540),
        ceil(1.25 * 270 * 60 / 540),
    )
    assert taken.loads == (200, 60, 9) and taken.rooms == (300, 180, 60)


def test_launches_under_way_are_load() -> None:
    taken = snapshot([view("a", 100, 200, leases=50), view("b", 0, 200)], RULES)
    assert taken.loads == (150, 0) and taken.limits[1] == ceil(1.25 * 151 / 2)


def test_weights_stand_for_seats_that_are_not_known() -> None:
    unknown = snapshot([view("a", 90, weight=2), view("b", 0, weight=1)], RULES)
    assert unknown.limits == (ceil(1.25 * 91 * 2 / 3), ceil(1.25 * 91 / 3))
    assert unknown.rooms == (inf, inf) and unknown.capacity is None
    one_known = snapshot([view("a", 90, 200, weight=2), view("b", 90, weight=1)], RULES)
    assert one_known.limits == (ceil(1.25 * 181 * 2 / 3), ceil(1.25 * 181 / 3))


def test_a_nearly_idle_federation_keeps_affinity() -> None:
    assert snapshot([view("a", 3), view("b", 0)], RULES).limits == (HANDFUL, HANDFUL)
    assert snapshot([view("a", 3, 300), view("b", 0, 60)], RULES).limits == (75, 15)
    assert snapshot([view("a", 0, 4), view("b", 0, 4)], RULES).limits == (4, 4)


def test_headroom_is_the_operators_or_the_callers() -> None:
    views = [view("a", 50, 60), view("b", 50, 60)]
    assert snapshot(views, PolicyRules(headroom=10)).rooms == (50, 50)
    assert snapshot(views, RULES, headrooms=[1, 70]).rooms == (59, 0)
    assert snapshot(views, RULES).rooms == (60, 60)


def test_a_member_that_comes_back_does_not_push_the_others_out_of_their_keys() -> None:
    """Its empty seats would make all others look overloaded, and everything would fall on it at once."""
    others = [view("b", 150, 180), view("c", 50, 60)]
    back = view("a", 0, 300, weight=300, effective=30, state=State.RECOVERING)
    taken = snapshot([back, *others], RULES)
    assert taken.limits[1] > 150 and taken.limits[2] > 50
    assert taken.limits[0] == ceil(1.25 * 201 * 30 / 270)
    assert snapshot([replace(back, state=State.HEALTHY), *others], RULES).limits[1] < 150


def test_those_that_take_no_launches_or_come_after_the_others_have_no_part_in_the_share() -> None:
    pair = [view("a", 60, 100), view("b", 60, 100)]
    more = [
        view("dead", 80, 100, state=State.EJECTED),
        view("off", 80, 100, state=State.DRAINED),
        view("sick", 0, 100, state=State.DEGRADED),
    ]
    assert snapshot([*pair, *more], RULES).limits[:2] == snapshot(pair, RULES).limits
    assert snapshot([*pair, *more], RULES).load == 120


def test_degraded_members_share_what_comes_to_them_among_themselves() -> None:
    sick = [view(name, used, 100, state=State.DEGRADED) for name, used in (("a", 60), ("b", 0))]
    assert snapshot([view("well", 90, 100), *sick], RULES).limits[1:] == (ceil(1.25 * 61 / 2),) * 2


def test_the_table_is_used_on_while_names_and_weights_are_the_same() -> None:
    views = [view("a"), view("b")]
    first = snapshot(views, RULES)
    second = snapshot([replace(views[0], leases=7), views[1]], RULES, first)
    assert second.table is first.table and second.index is first.index and second.loads == (7, 0)
    assert snapshot([replace(views[0], weight=2), views[1]], RULES, first).table is not first.table
    renamed = snapshot([view("x"), views[1]], RULES, first)
    assert renamed.table is not first.table and renamed.index == {"x": 0, "b": 1}


def test_a_member_that_takes_no_launches_keeps_the_operators_weight() -> None:
    assert snapshot([view("a", weight=3, effective=0)], RULES).table.weights == (3,)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 300), st.integers(0, 5)), min_size=1, max_size=8)
)
def test_never_are_all_with_a_seat_over_their_share(rows: list[tuple[int, int, int]]) -> None:
    """The factor is at least 1, so someone is below it, or full."""
    taken = snapshot([view(f"m{n}", u, c, leases=e) for n, (u, c, e) in enumerate(rows)], RULES)
    open_to_more = [load < limit for load, limit in zip(taken.loads, taken.limits, strict=True)]
    full = [load >= room for load, room in zip(taken.loads, taken.rooms, strict=True)]
    assert any(open_to_more) or any(full)
    assert all(limit <= room for limit, room in zip(taken.limits, taken.rooms, strict=True))
