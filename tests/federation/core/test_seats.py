from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.seats import (
    MOST_HEADROOM,
    RAISE_EVERY,
    RAISE_LATEST,
    SHUT,
    Inflow,
    Learned,
    capacity,
    headroom,
    observed,
    raised,
    refused,
)

QUOTA = 300
LOADS = st.one_of(st.none(), st.integers(0, 400))


@given(st.lists(st.tuples(st.sampled_from(["refused", "later"]), LOADS, st.floats(-1e4, 1e4)), max_size=40))
@settings(max_examples=300)
def test_what_was_learned_is_always_a_number_of_seats_below_what_was_refused(
    events: list[tuple[str, int | None, float]],
) -> None:
    learned, now = Learned(), 1e6
    for what, load, gap in events:
        now += gap
        before = learned.limit
        if what == "refused":
            learned = refused(learned, load, now)
            if load is None:
                assert learned.limit == before and capacity(None, None, learned, now) == 0
            else:
                assert learned.limit is not None and learned.limit <= max(0, load - 1)
                assert before is None or learned.limit <= before
        else:
            learned = raised(learned, QUOTA, now)
            assert learned.limit in (before, None if before is None else before + 1, None)
        room = capacity(250, QUOTA, learned, now)
        assert room is not None and 0 <= room <= 250
        assert RAISE_EVERY <= learned.pause <= RAISE_LATEST


def test_the_least_of_three_numbers_counts() -> None:
    nothing = Learned()
    assert capacity(None, None, nothing, 0.0) is None
    assert (
        capacity(50, 60, nothing, 0.0) == capacity(60, 50, nothing, 0.0) == capacity(None, 50, nothing, 0.0)
    )
    assert capacity(60, 50, Learned(limit=40), 0.0) == capacity(None, None, Learned(limit=40), 0.0) == 40


def test_room_comes_back_seat_by_seat_until_the_quota_and_then_the_lesson_is_forgotten() -> None:
    learned = refused(Learned(), 298, 0.0)
    assert learned.limit == 297
    assert raised(learned, QUOTA, RAISE_EVERY - 0.1) == learned
    learned = raised(learned, QUOTA, RAISE_EVERY)
    assert learned.limit == 298
    assert raised(learned, QUOTA, RAISE_EVERY + 1).limit == 298
    learned = raised(raised(learned, QUOTA, 2 * RAISE_EVERY), QUOTA, 3 * RAISE_EVERY)
    assert learned == Learned() and capacity(None, QUOTA, learned, 1e9) == QUOTA
    assert raised(Learned(limit=5), None, 1e9).limit == 6


def test_a_full_member_is_asked_for_one_seat_more_ever_more_rarely() -> None:
    """Quota 300, the node takes 110, and there is always a launch that would like the next seat."""
    learned, refusals = Learned(), []
    for second in range(24 * 3600):
        learned = raised(learned, QUOTA, float(second))
        room = capacity(None, QUOTA, learned, float(second))
        if room is None or room > 110:
            learned = refused(learned, 111, float(second))
            refusals.append(second)
    assert learned.limit == 110
    assert sum(second < 120 for second in refusals) <= 2
    assert sum(second < 600 for second in refusals) <= 4
    assert len(refusals) < 35
    assert refusals[-1] - refusals[-2] >= RAISE_LATEST


def test_guesses_that_are_right_come_faster_again() -> None:
    learned, now = Learned(limit=10, pause=RAISE_LATEST), 0.0
    for _ in range(20):
        now += learned.pause
        learned = raised(learned, QUOTA, now)
    assert learned.limit == 30 and learned.pause == RAISE_EVERY


def test_refusals_that_come_together_are_one_lesson() -> None:
    """Nine launches were under way when the first of them was refused."""
    learned = Learned()
    for under_way in range(9, 0, -1):
        learned = refused(learned, 110 + under_way, 5.0)
    assert learned.limit == 110 and learned.pause == RAISE_EVERY


def test_one_that_tells_no_numbers_is_shut_for_a_while() -> None:
    learned = refused(Learned(), None, 100.0)
    assert capacity(None, None, learned, 100.0) == capacity(60, None, learned, 99.9 + SHUT) == 0
    assert capacity(60, None, learned, 100.0 + SHUT) == 60


def test_a_clock_that_was_set_back_keeps_no_seat_shut() -> None:
    assert capacity(60, None, refused(Learned(), None, 9000.0), 5000.0) == 60
    assert raised(refused(Learned(), 50, 9000.0), QUOTA, 5000.0).limit == 50


def test_a_member_that_takes_nothing_has_no_seats_and_not_fewer() -> None:
    assert refused(Learned(), 0, 0.0).limit == 0


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 50), st.floats(-10, 100)), max_size=30),
    st.integers(0, 500),
)
def test_headroom_is_a_small_share_of_the_seats_and_none_for_launches_of_ours(
    looks: list[tuple[int, int, float]], seats: int
) -> None:
    inflow, ours_only, now = Inflow(), Inflow(), 1000.0
    for grown, ours, gap in looks:
        now += gap
        inflow = observed(inflow, grown, ours, now)
        ours_only = observed(ours_only, max(0, grown), max(0, grown) + ours, now)
        assert inflow.rate >= 0.0
    assert 0 <= headroom(None, inflow, 10.0, seats) <= seats * MOST_HEADROOM
    assert headroom(None, ours_only, 10.0, seats) == 0
    assert headroom(None, inflow, 10.0, None) == 0
    assert headroom(7, inflow, 10.0, seats) == 7


def test_headroom_follows_how_fast_others_send() -> None:
    inflow = Inflow()
    for look in range(12):  # three sessions a look, one of them ours
        inflow = observed(inflow, 3, 1, 10.0 * (look + 1))
    assert headroom(None, inflow, 10.0, 300) == 2
    for look in range(12, 30):
        inflow = observed(inflow, 0, 0, 10.0 * (look + 1))
    assert headroom(None, inflow, 10.0, 300) <= 1
