"""The memory of decisions: bounded, newest first, and cheap to fill."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from federation.core.decisions import Record, summary
from federation.core.facts import AttemptEnded, Chosen, Fact, LaunchEnded, LookFailed, Outcome, Overdue
from federation.core.launchkey import parse_spec
from federation.core.model import Candidate, Decision, Launch, Member, MemberView
from federation.core.rules import DecisionRules, Settings
from federation.service import decisions as service
from federation.service.decisions import Decisions, Views

ONE, OTHER = parse_spec("gh/u/one/HEAD"), parse_spec("gh/u/other/v1")
ALPHA, BETA = (MemberView(Member(name, f"http://{name}", 1.0)) for name in ("alpha", "beta"))


class Clock:
    time = 100.0

    def now(self) -> float:
        return self.time


class Memory:
    """Decisions under rules that a test may change, with what was told as ended."""

    def __init__(self, keep: int = 2000, file: str | None = None) -> None:
        self.settings = Settings((), decisions=DecisionRules(keep, file))
        self.clock = Clock()
        self.ended: list[Record] = []
        self.explained = 0
        self.decisions = Decisions(lambda: self.settings, self.clock, self.explain, self.ended.append)

    def explain(self, launch: Launch, views: Views) -> Decision:
        self.explained += 1
        return Decision(launch, tuple(Candidate(view, 1.0) for view in views), why="its own member")

    def hear(self, *facts: Fact) -> None:
        for fact in facts:
            self.decisions.listen(fact)

    def ids(self, **asked: object) -> list[int]:
        return [record.id for record in self.decisions.of(**asked).records]  # type: ignore[arg-type]


def chosen(id: int, launch: Launch = ONE, member: str = "alpha", attempt: int = 1, at: float = 0.0) -> Chosen:
    return Chosen(Decision(launch, ()), id, member, attempt, at)


def attempt(id: int, outcome: Outcome, member: str = "alpha", number: int = 1) -> AttemptEnded:
    return AttemptEnded(ONE, id, member, number, outcome, "cause", "why", 1.0)


def ended(id: int, outcome: Outcome = Outcome.READY, launch: Launch = ONE) -> LaunchEnded:
    return LaunchEnded(launch, id, outcome, "alpha", 1, outcome.value, 1.0)


@dataclass(frozen=True, slots=True)
class HandedOver:
    launch: Launch
    id: int
    view: MemberView
    views: Views
    at: float = 0.0


def test_a_launch_is_remembered_with_all_its_facts() -> None:
    memory = Memory()
    facts = (
        chosen(1),
        Overdue(ONE, 1, "alpha", 1, "launching", 9.0),
        attempt(1, Outcome.LOST),
        chosen(1, member="beta", attempt=2),
        attempt(1, Outcome.READY, "beta", 2),
        ended(1),
    )
    memory.hear(LookFailed("alpha", "ill"), *facts, LookFailed("alpha", "ill"))
    record = memory.decisions.find(1)
    assert record is not None and record.told == facts and record.at == 100.0
    assert memory.decisions.find(2) is None


def test_the_time_of_the_first_choice_is_the_launchs() -> None:
    memory = Memory()
    memory.hear(chosen(1, at=50.0), chosen(1, at=60.0, attempt=2))
    assert memory.decisions.of().records[0].at == 50.0


def test_the_newest_launches_are_kept_and_come_first() -> None:
    memory = Memory(keep=3)
    for id in range(1, 6):
        memory.hear(chosen(id), ended(id))
    assert memory.ids() == [5, 4, 3]
    assert memory.decisions.find(2) is None


def test_who_waited_before_its_first_choice_keeps_its_place() -> None:
    memory = Memory(keep=3)
    memory.hear(chosen(1), chosen(4), chosen(3))
    assert memory.ids() == [4, 3, 1]
    memory.hear(chosen(2))  # pushes out 1, which is older
    assert memory.ids() == [4, 3, 2]
    memory.hear(chosen(1))
    assert memory.ids() == [4, 3, 2]


def test_fewer_are_kept_from_the_next_launch_on_when_the_rules_say_so() -> None:
    memory = Memory(keep=5)
    memory.hear(*(chosen(id) for id in range(1, 6)))
    memory.settings = Settings((), decisions=DecisionRules(keep=2))
    memory.hear(chosen(6))
    assert memory.ids() == [6, 5]
    memory.settings = Settings((), decisions=DecisionRules(keep=0))
    memory.hear(chosen(7), ended(7))
    assert memory.ids() == []


def test_questions_narrow_and_pages_go_on() -> None:
    memory = Memory()
    for id in range(1, 8):
        launch = ONE if id % 2 else OTHER
        memory.hear(chosen(id, launch, "alpha" if id < 5 else "beta"))
        if id < 7:
            memory.hear(ended(id, Outcome.READY if id < 4 else Outcome.FAILED, launch))
    assert memory.ids(spec="gh/u/one") == [7, 5, 3, 1]
    assert memory.ids(spec="gh/U/other") == [6, 4, 2]
    assert memory.ids(member="beta") == [7, 6, 5]
    assert memory.ids(outcome="failed", spec="gh/u/one/HEAD") == [5]
    assert memory.ids(outcome="under_way") == [7]
    page = memory.decisions.of(spec="gh/u/one", limit=2)
    assert [record.id for record in page.records] == [7, 5] and page.next is not None
    page = memory.decisions.of(spec="gh/u/one", limit=2, before=page.next)
    assert [record.id for record in page.records] == [3, 1] and page.next is None


def test_one_question_looks_at_so_many_launches_and_says_where_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "MOST_LOOKED_AT", 3)
    memory = Memory()
    memory.hear(chosen(1, OTHER), *(chosen(id) for id in range(2, 8)))
    seen, before, questions = [], None, 0
    while questions == 0 or before is not None:
        page = memory.decisions.of(spec="gh/u/other", before=before)
        seen += [record.id for record in page.records]
        before, questions = page.next, questions + 1
    assert seen == [1] and questions == 3


def test_a_launch_that_newer_ones_pushed_out_still_ends_whole_in_the_log() -> None:
    memory = Memory(keep=1, file="decisions.jsonl")
    memory.hear(chosen(1), chosen(2))
    assert memory.ids() == [2]
    memory.hear(attempt(1, Outcome.READY), ended(1))
    assert [len(record.told) for record in memory.ended] == [3]
    memory.hear(attempt(1, Outcome.ABANDONED, number=2))  # late, and forgotten: begins nothing
    assert memory.ids() == [2]


def test_what_comes_after_the_end_still_belongs_to_the_launch() -> None:
    memory = Memory()
    memory.hear(chosen(1), chosen(1, member="beta", attempt=2), ended(1), attempt(1, Outcome.ABANDONED))
    record = memory.decisions.find(1)
    assert record is not None and len(record.told) == 4
    assert memory.ids() == [1]


def test_launches_that_never_end_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_UNDER_WAY", 2)
    memory = Memory(keep=1, file="decisions.jsonl")
    memory.hear(chosen(1), chosen(2), chosen(3), chosen(4))
    memory.hear(attempt(1, Outcome.READY), attempt(3, Outcome.READY))
    memory.hear(ended(1), ended(3))
    assert [len(record.told) for record in memory.ended] == [1, 3]


def test_nothing_is_made_for_a_file_that_is_not_there() -> None:
    memory = Memory()
    memory.hear(chosen(1), ended(1))
    assert memory.ended == []


def test_the_decision_of_a_launch_that_was_handed_over_is_made_when_asked_for() -> None:
    memory = Memory(keep=2)
    memory.hear(chosen(1), ended(1))
    for id in (2, 3):
        memory.decisions.handed(HandedOver(OTHER, id, BETA, (BETA, ALPHA), 50.0))
    assert memory.ids(member="alpha") == [] and memory.explained == 0
    assert memory.ids(outcome="redirected", member="beta", spec="gh/u/other") == [3, 2]
    record = memory.decisions.find(3)
    assert record is not None and record.at == 50.0 and memory.explained == 3
    told = summary(record)
    assert told["outcome"] == "redirected" and told["member"] == "beta"
    assert [one["name"] for one in told["attempts"][0]["candidates"]] == ["beta", "alpha"]
