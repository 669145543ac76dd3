"""Records of launches as plain data and as sentences."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import decisions as shapes
from federation.core.facts import AttemptEnded, Chosen, LaunchEnded, Outcome, Overdue
from federation.core.launchkey import parse_launch, parse_spec
from federation.core.model import Decision, Member, MemberView, Operation, Seats, Signal, State, Tally
from federation.core.routing import decide, refusal
from federation.core.rules import PolicyRules
from federation.core.snapshot import snapshot

LAUNCH = parse_spec("gh/Binder-Examples/requirements/HEAD")
SECRET = parse_launch(
    "/build/git/https%3A%2F%2Fme%3Ahunter%402%40git.example.org%2Fr%3Fprivate_token%3Dgl-1/HEAD"
)


def view(name: str, state: State = State.HEALTHY, **more: Any) -> MemberView:
    seats = more.get("seats")
    known = {"capacity": None if seats is None else seats.quota, "weight": 1.0, "reason": "", **more}
    made = MemberView(Member(name, f"http://{name}", known["weight"]), state, **known)
    return replace(made, refusal=refusal(made, 0))


def order(*views: MemberView, tried: tuple[str, ...] = ()) -> Decision:
    return decide(LAUNCH, snapshot(views, PolicyRules()), rules=PolicyRules(), dice=lambda: 0.5, tried=tried)


def failed_over() -> shapes.Record:
    """A launch that `first` lost and `second` finished, while `ill` was out."""
    views = (view("a"), view("b"), view("ill", State.EJECTED, reason="no answer"))
    first = order(*views)
    names = [one.view.member.name for one in first.candidates]
    told = (
        Chosen(first, 7, names[0], 1, 100.0),
        Overdue(LAUNCH, 7, names[0], 1, "launching", 12.34567),
        AttemptEnded(LAUNCH, 7, names[0], 1, Outcome.LOST, "quota", "Too many users", 13.0, "launching"),
        Chosen(order(*views, tried=(names[0],)), 7, names[1], 2, 113.0),
        AttemptEnded(LAUNCH, 7, names[1], 2, Outcome.READY, "ready", "ready", 2.0, "ready"),
        LaunchEnded(LAUNCH, 7, Outcome.READY, names[1], 2, "ready", 15.0),
    )
    return shapes.Record(7, LAUNCH, 100.0, told)


def test_a_record_tells_every_attempt_with_its_decision_and_ending() -> None:
    record = failed_over()
    told = shapes.summary(record)
    first, second = told["attempts"]
    assert (told["id"], told["at"], told["outcome"], told["seconds"]) == (7, 100.0, "ready", 15.0)
    assert told["member"] == second["member"] != first["member"]
    assert first["overdue"] == {"phase": "launching", "seconds": 12.346}
    assert first["ended"] == {
        "outcome": "lost",
        "cause": "quota",
        "why": "Too many users",
        "phase": "launching",
        "seconds": 13.0,
    }
    assert [one["name"] for one in first["candidates"]] == [first["member"], second["member"]]
    assert first["candidates"][0]["score"] > first["candidates"][1]["score"] > 0
    assert {"name": "ill", "reason": "ejected: no answer"} in first["exclusions"]
    assert {"name": first["member"], "reason": "already tried"} in second["exclusions"]
    assert "nobody_left" not in told


def test_for_any_member_one_sentence_an_attempt_says_why_or_why_not() -> None:
    record = failed_over()
    lost, won = (choice.member for choice in record.choices)
    assert shapes.about(record, lost) == (
        f"Attempt 1: {lost} was chosen: the next in this repository's order; there it ended as lost: Too many users. "
        f"Attempt 2: {lost} was not chosen: already tried."
    )
    assert shapes.about(record, won) == (
        f"Attempt 1: {won} was not chosen: number 2 of 2 in the order, behind {lost} "
        f"(the next in this repository's order). "
        f"Attempt 2: {won} was chosen: the next in this repository's order; there it ended as ready: ready."
    )
    assert shapes.about(record, "ill").count("ill was not chosen: ejected: no answer.") == 2
    assert "no member of this name" in shapes.about(record, "nobody")


def test_a_launch_that_nobody_took_tells_why_nobody_did() -> None:
    nobody = order(
        view("a", State.EJECTED, reason="no answer"), view("off", State.DRAINED, reason="weight 0")
    )
    end = LaunchEnded(LAUNCH, 1, Outcome.FAILED, None, 0, "no_member", 0.0, decision=nobody)
    record = shapes.Record(1, LAUNCH, 5.0, (end,))
    assert shapes.about(record, "a") == "a was not chosen: ejected: no answer."
    assert shapes.about(record, "off") == "off was not chosen: weight 0."
    assert shapes.summary(record)["nobody_left"]["exclusions"][0] == {
        "name": "a",
        "reason": "ejected: no answer",
    }


def test_a_member_that_was_left_when_attempts_ran_out_is_told_so() -> None:
    record = failed_over()
    end = LaunchEnded(LAUNCH, 7, Outcome.FAILED, "a", 2, "no_member", 1.0, decision=order(view("c")))
    record = replace(record, told=(*record.told[:-1], end))
    assert shapes.about(record, "c").endswith("In the end: c was not chosen: the launch had no attempt left.")


def test_a_last_resort_says_what_speaks_against_it() -> None:
    full = order(view("full", seats=Seats(1, 1)))
    assert shapes.why(full, "full", "full") == (
        "full was chosen: a last resort, as no member is known to be well and have room "
        "(full: 1 of 1 seats, 0 launches under way)."
    )


def test_a_place_that_the_score_does_not_give_is_noted() -> None:
    decision = order(view("a"), view("b"))
    first, second = decision.candidates
    held, passed = replace(first, note="holds the image"), replace(second, note="passed over: load 9")
    decision = replace(decision, candidates=(held, passed))
    a, b = (one.view.member.name for one in (first, second))
    assert shapes.why(decision, a, a).endswith("own member (holds the image).")
    assert shapes.why(decision, a, b).endswith("own member); passed over: load 9.")
    assert [one["note"] for one in shapes.explained(decision, 1.0)["candidates"]] == [held.note, passed.note]


def test_a_launch_under_way_or_given_up_before_any_choice_is_told_as_that() -> None:
    assert shapes.summary(shapes.Record(1, LAUNCH, 5.0))["outcome"] == "under_way"
    left = LaunchEnded(LAUNCH, 1, Outcome.ABANDONED, None, 0, "abandoned", 9.0, waited=9.0)
    assert "abandoned" in shapes.about(shapes.Record(1, LAUNCH, 5.0, (left,)), "a")
    assert shapes.summary(shapes.Record(1, LAUNCH, 5.0, (left,)))["waited"] == 9.0


def test_figures_show_what_a_place_came_from() -> None:
    one = view(
        "a",
        weight=0.5,
        seats=Seats(3, 10),
        leases=2,
        tally=Tally(9, 1),
        lost=frozenset({Operation.LAUNCH}),
        signals={"builds": Signal(4.0, 90.0)},
    )
    builds = replace(LAUNCH, query="build_only=true")
    decision = decide(builds, snapshot([one], PolicyRules()), rules=PolicyRules(), dice=lambda: 0.5)
    told = shapes.explained(decision, 100.0)["candidates"][0]
    assert (told["effective_weight"], told["load"], told["leases"], told["capacity"], told["free"]) == (
        0.5,
        5,
        2,
        10,
        5,
    )
    assert told["tally"] == {"good": 9, "bad": 1} and told["lost"] == ["launch"]
    assert told["signals"] == {"builds": {"value": 4.0, "age": 10.0}}


def test_credentials_are_neither_told_nor_found() -> None:
    why = "fatal: cannot read https://me:hunter@2@git.example.org/r"
    told = (
        Chosen(replace(order(view("a")), launch=SECRET), 1, "a", 1),
        AttemptEnded(SECRET, 1, "a", 1, Outcome.LOST, "launch", why, 1.0),
    )
    record = shapes.Record(1, SECRET, 5.0, told)
    for text in (
        json.dumps(shapes.summary(record)),
        json.dumps(shapes.detail(record)),
        shapes.about(record, "a"),
    ):
        assert "git.example.org" in text or "a was chosen" in text
        assert "hunter" not in text and "gl-1" not in text and "@" not in text
    assert shapes.concerns(SECRET, shapes.wanted("git/https://git.example.org/r"))
    assert not shapes.concerns(SECRET, shapes.wanted("git/https%3A%2F%2Fme%3Ahun"))
    assert not shapes.concerns(SECRET, "git/https://git.example.org/r?private_token=gl")


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("gh/binder-examples/requirements", True),
        ("/build/gh/Binder-Examples/requirements/HEAD", True),
        ("v2/gh/binder-examples/", True),
        ("gh", True),
        ("gh/binder-examples/requirements/v1", False),
        ("gl/", False),
    ],
)
def test_a_spec_is_found_by_its_beginning(spec: str, found: bool) -> None:
    assert shapes.concerns(LAUNCH, shapes.wanted(spec)) is found


@given(
    st.lists(
        st.tuples(st.sampled_from(State), st.floats(0, 10), st.none() | st.integers(0, 3)),
        min_size=1,
        max_size=6,
    )
)
def test_every_member_of_every_decision_has_a_sentence(told: list[tuple[State, float, int | None]]) -> None:
    views = [
        view(str(n), state, weight=weight, reason="ill", seats=None if used is None else Seats(used, 2))
        for n, (state, weight, used) in enumerate(told)
    ]
    decision = order(*views)
    chosen = decision.candidates[0].view.member.name if decision.candidates else None
    for one in views:
        sentence = shapes.why(decision, chosen, one.member.name)
        assert ("was chosen" in sentence) is (one.member.name == chosen)
        assert sentence.endswith(".") and "no attempt left" not in sentence
    json.dumps(shapes.explained(decision, 1.0))
