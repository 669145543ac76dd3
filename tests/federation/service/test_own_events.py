"""What the front door itself says in a stream."""

from __future__ import annotations

import json

import pytest

from federation.core.model import Member, MemberView, State
from federation.core.waiting import Place
from federation.service import own_events


def view(name: str, state: State = State.HEALTHY, refusal: str | None = "full: 2 of 2 seats") -> MemberView:
    return MemberView(Member(name, f"http://{name}", 1.0), state, refusal=refusal)


def test_a_place_in_line_is_one_event_of_the_known_kind() -> None:
    told = own_events.in_line("Every member is full.", Place(3, 12, 118.2))
    assert json.loads(told.data) == told.event
    assert told.event == {
        "phase": "waiting",
        "message": "Every member is full. You are 3rd in line; about 2 minutes.\n",
        "position": 3,
        "of": 12,
        "estimate": 118,
    }
    assert own_events.in_line("x.", Place(1, 1, None)).event["message"] == "x. You are 1st in line.\n"
    assert own_events.in_line("x.", Place(1, 1, 4.0)).event["message"].endswith("; less than a minute.\n")
    assert own_events.in_line("x.", Place(1, 1, 61.0)).event["message"].endswith("; about 1 minute.\n")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (13, "13th"),
        (21, "21st"),
        (112, "112th"),
    ],
)
def test_ordinals(number: int, words: str) -> None:
    assert own_events.ordinal(number) == words


@pytest.mark.parametrize(
    ("views", "tried", "why"),
    [
        ([view("a"), view("b")], (), "Every member is full."),
        ([view("a"), view("b")], ("a",), "Every other member is full."),
        ([view("a"), view("b", State.EJECTED, "ejected: ill")], (), "Every member in service is full."),
        ([view("a"), view("b", State.DRAINED, "weight 0")], (), "Every member is full."),
        ([view("b", State.EJECTED, "ejected: ill")], (), "No member is in service."),
        ([view("a"), view("b", State.EJECTED, "ejected: ill")], ("a",), "No other member is in service."),
        ([view("a", State.UNKNOWN, "not probed yet")], (), "Every member has yet to be looked at."),
        ([view("a"), view("b", refusal=None)], (), "Others wait for a seat as well."),
    ],
)
def test_why_one_waits(views: list[MemberView], tried: tuple[str, ...], why: str) -> None:
    assert own_events.why_waiting(views, tried) == why
