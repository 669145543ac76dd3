"""Ninety days from looks of a second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.history import (
    DAY,
    DAYS,
    History,
    Launches,
    Presence,
    document,
    last_days,
    looked,
    read,
)
from federation.core.model import Member, MemberView, State

NOON = 20_000 * DAY + DAY / 2
NONE = Launches()


def member(name: str, state: State) -> MemberView:
    return MemberView(Member(name, f"https://{name}.example.org", 1.0), state)


def run(
    history: History, start: float, seconds: int, *views: MemberView, blind: bool = False, step: int = 10
) -> History:
    for past in range(0, seconds + 1, step):
        history = looked(history, views, blind=blind, launches=NONE, now=start + past)
    return history


def test_time_is_shared_by_state_and_drained_time_counts_apart() -> None:
    up, out = member("a", State.HEALTHY), member("b", State.EJECTED)
    history = run(History(), NOON, 300, up, out)
    history = run(history, NOON + 300, 100, member("a", State.EJECTED), member("b", State.DRAINED))
    day = history.days[20_000]
    assert day.members["a"] == Presence(400, 300, 0)
    assert day.members["b"] == Presence(400, 0, 100) and day.members["b"].share == 0
    assert day.federation == Presence(400, 300, 0)
    assert Presence(50, 0, 50).share is None


def test_what_is_not_known_is_neither_up_nor_down() -> None:
    history = run(History(), NOON, 100, member("a", State.UNKNOWN))
    assert history.days == {}
    history = run(history, NOON + 100, 100, member("a", State.HEALTHY), blind=True)
    assert history.days[20_000].members == {} and history.days[20_000].federation == Presence(100, 0, 0)
    before = History(history.days, NOON)
    gap = looked(before, [member("a", State.HEALTHY)], blind=False, launches=NONE, now=NOON + 3600)
    assert gap.days == before.days


def test_midnight_divides() -> None:
    midnight = 20_001 * DAY
    history = run(History(), midnight - 20, 60, member("a", State.HEALTHY))
    assert [history.days[day].federation.up for day in (20_000, 20_001)] == [20, 40]


def test_a_clock_that_is_set_costs_no_day() -> None:
    history = run(History(), NOON, 100, member("a", State.HEALTHY))
    history = run(history, NOON + 400 * DAY, 100, member("a", State.HEALTHY))
    history = run(history, NOON + 90, 100, member("a", State.HEALTHY))
    assert history.days[20_000].federation.up == 200
    shown = dict(last_days(history, NOON))
    assert len(shown) == DAYS and max(shown) == 20_000 and shown[20_000].federation.up == 200


def test_launches_are_counted_on_their_day() -> None:
    history = looked(History(), (), blind=False, launches=Launches(5, 3, 1), now=NOON)
    history = looked(history, (), blind=False, launches=Launches(1, 1, 0), now=NOON + 1)
    day = history.days[20_000]
    assert (day.launches, day.good, day.bad, day.success) == (6, 4, 1, 0.8)


@pytest.mark.parametrize("found", [None, [], {}, {"version": 2}, {"version": True, "days": []}, "x"])
def test_what_is_no_history_is_refused(found: object) -> None:
    with pytest.raises(ValueError, match="holds no history of version 1"):
        read(found)


def test_odd_fields_are_as_if_they_were_not_there() -> None:
    days = [
        {"day": 5, "launches": -1, "good": "x", "federation": [], "members": {"a": {"up": 3, "known": None}}},
        7,
        {},
    ]
    history = read({"version": 1, "days": days})
    assert list(history.days) == [5] and history.days[5].launches == 0
    assert history.days[5].members == {"a": Presence(0, 3, 0)}


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.sampled_from(State), st.sampled_from(State), st.booleans()),
        max_size=30,
    )
)
def test_shares_are_shares_and_a_document_tells_the_same(
    steps: list[tuple[float, State, State, bool]],
) -> None:
    history, now = History(), NOON
    for seconds, one, other, blind in steps:
        now = max(0.0, now + seconds)
        views = [member("a", one), member("b", other)]
        history = looked(history, views, blind=blind, launches=Launches(2, 1, 1), now=now)
        history = looked(history, views, blind=blind, launches=NONE, now=now + 7)
        now += 7
    for day in history.days.values():
        for presence in (day.federation, *day.members.values()):
            assert presence.share is None or 0 <= presence.share <= 1
            assert presence.up + presence.drained <= presence.known + 1e-6
    again = read(document(history))
    assert read(document(again)) == again and list(again.days) == [day for day in history.days if day]
