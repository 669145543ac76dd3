"""Attempts side by side: who is overtaken, whose events pass, whose end is the launch's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from door_stage import until
from race_stage import BUILDING, BUILT, LAUNCH, LAUNCHING, READY, Budget, Line, Races

from federation.core.errors import BrokenOff, Refused
from federation.core.facts import Chosen, Outcome, Overdue, PhaseEnded
from federation.core.model import State
from federation.core.phases import Ending, Verdict
from federation.core.progress import Progress
from federation.service.attempt import HANDED_ON
from federation.service.race import stands

FAILED = {"phase": "failed", "message": "the build says no\n"}
LEAVES = {"phase": "failed", "message": "This member is shutting down\n"}
LIMITED = {"phase": "failed", "status_code": 429, "message": "Rate limit exceeded\n"}


def nothing_left(races: Races) -> None:
    assert races.leases == 0 and not +races.streams.open_now
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("attempt")]


async def test_the_next_member_overtakes_one_that_stands_still() -> None:
    races = Races("a", "b", "c")
    told = races.begin()
    races.say("a", BUILT, LAUNCHING)
    why = await told.hears("is tried as well")
    assert why["phase"] == "waiting" and why["message"].startswith("a has not moved for 0 s in launching; b")
    assert (why["member"], why["attempt"]) == ("b", 2)
    assert races.leases == 2
    races.say("a", {"phase": "launching", "message": "held back\n"})
    races.say("b", BUILT, LAUNCHING)
    await until(lambda: told.passed[2:] == [BUILT, LAUNCHING])
    races.say("b", READY)
    events = await told.over()
    assert events[-1] == READY and told.members == ["a", "b"] and "held back" not in str(events)
    assert races.attempts() == [("b", "ready", "ready"), ("a", "lost", "stuck")]
    (overdue,) = [fact for fact in races.facts if isinstance(fact, Overdue)]
    assert (overdue.id, overdue.member, overdue.attempt, overdue.phase) == (7, "a", 1, "launching")
    assert overdue.seconds >= 0.1
    end = races.end()
    assert (end.id, end.outcome, end.member, end.attempts) == (7, Outcome.READY, "b", 2)
    assert [f.at for f in races.facts if isinstance(f, Chosen)] == [1000.0, 1000.0]
    nothing_left(races)


async def test_the_slow_one_may_still_win_and_the_other_is_not_blamed() -> None:
    races = Races("a", "b")
    told = races.begin()
    await told.hears("a has not answered for 0 s; b is tried as well")
    races.say("b", BUILDING)
    await until(lambda: BUILDING in told.events)
    races.say("a", READY)
    assert (await told.over())[-1] == READY
    assert races.attempts()[0] == ("a", "ready", "ready")
    assert races.end().member == "a"
    nothing_left(races)


async def test_one_that_was_not_needed_is_abandoned_without_a_fault() -> None:
    class Short:
        def limit(self, member: str, phase: str, default: float) -> float:
            return 0.05 if member == "a" else 60.0

    races = Races("a", "b")
    races.patience = Short()
    told = races.begin()
    await told.hears("is tried as well")
    races.say("a", READY)
    await told.over()
    assert races.attempts() == [("a", "ready", "ready"), ("b", "abandoned", "overtaken")]


async def test_when_the_newest_fails_the_slow_one_is_heard_again() -> None:
    races = Races("a", "b")
    told = races.begin()
    await told.hears("is tried as well")
    races.say("a", BUILT)
    races.say("b", BUILDING, BrokenOff("ended the stream early"))
    goes_on = await told.hears("goes on")
    assert (
        goes_on["message"] == "b could not finish this launch (ended the stream early); a goes on with it.\n"
    )
    assert goes_on["member"] == "a" and "attempt" not in goes_on
    races.say("a", LAUNCHING, READY)
    events = await told.over()
    assert events[-2:] == [LAUNCHING, READY]
    assert races.attempts() == [("b", "lost", "broken_off"), ("a", "ready", "ready")]
    nothing_left(races)


async def test_when_the_slow_one_fails_the_newest_goes_on_alone() -> None:
    races = Races("a", "b")
    told = races.begin()
    await told.hears("is tried as well")
    races.say("a", Refused("is dead"))
    await until(lambda: ("a", "lost", "refused") in races.attempts())
    races.say("b", READY)
    events = await told.over()
    assert "is dead" not in str(events) and told.members == ["a", "b"]
    view = races.pool.view("a")
    assert view is not None and races.pool.doubtful("a")  # the refusal was a bad look


async def test_when_both_fail_the_next_is_tried() -> None:
    races = Races("a", "b", "c")
    told = races.begin()
    await told.hears("is tried as well")
    races.say("a", LEAVES)
    await until(lambda: races.attempts())
    races.say("b", LEAVES)
    races.say("c", READY)
    assert (await told.over())[-1] == READY
    assert told.members == ["a", "b", "c"] and races.end().attempts == 3


async def test_launch_attempts_count_the_overtaken_too() -> None:
    races = Races("a", "b", "c", attempts=2)
    told = races.begin()
    await told.hears("is tried as well")
    races.say("a", LEAVES)
    races.say("b", LEAVES)
    events = await told.over()
    assert told.members == ["a", "b"]
    assert (
        events[-1]["phase"] == "failed" and events[-1]["message"].count("This member is shutting down") == 2
    )
    end = races.end()
    assert (end.outcome, end.cause, end.attempts) == (Outcome.FAILED, "no_member", 2)


async def test_there_are_never_more_than_two_at_once() -> None:
    races = Races("a", "b", "c", "d", attempts=4, stuck_after=0.02)
    told = races.begin()
    await told.hears("is tried as well")
    await until(lambda: sum(isinstance(fact, Overdue) for fact in races.facts) == 2)
    await asyncio.sleep(0.1)
    assert races.leases == 2 and told.members == ["a", "b"]
    races.say("b", READY)
    await told.over()
    assert races.attempts()[1] == ("a", "lost", "stuck")


@pytest.mark.parametrize("held", ["attempts", "members", "budget", "line"])
async def test_while_no_other_can_take_it_the_slow_one_goes_on(held: str) -> None:
    races = Races("a") if held == "members" else Races("a", "b", attempts=1 if held == "attempts" else 3)
    if held == "budget":
        races.budget = Budget(0)
    if held == "line":
        races.room = Line()
    told = races.begin()
    races.say("a", BUILT, LAUNCHING)
    await until(lambda: races.streams.opened)
    if held == "line":
        races.room.others = 1
    await until(lambda: any(isinstance(fact, Overdue) for fact in races.facts))
    await asyncio.sleep(0.1)
    assert races.leases == 1
    races.say("a", READY)
    assert (await told.over())[-1] == READY
    assert told.members == ["a"] and races.attempts() == [("a", "ready", "ready")]


async def test_another_member_is_asked_for_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.service.race.LOOK_AGAIN", 0.05)
    races = Races("a", "b")
    races.budget = budget = Budget(0)
    told = races.begin()
    await until(lambda: budget.left < -1)
    budget.left = 1
    await told.hears("b is tried as well")
    races.say("b", READY)
    await told.over()
    assert sum(isinstance(fact, Overdue) for fact in races.facts if getattr(fact, "member", "") == "a") == 1


async def test_a_build_that_talks_is_not_overtaken_and_a_launch_that_talks_is() -> None:
    for event, overtaken in ((BUILDING, False), (LAUNCHING, True)):
        races = Races("a", "b", stuck_after=0.4)
        told = races.begin()
        for _ in range(16):
            races.say("a", event)
            await asyncio.sleep(0.05)
        assert (told.members == ["a", "b"]) is overtaken
        await told.left()


async def test_how_long_is_too_long_is_asked_by_member_and_phase() -> None:
    asked: list[tuple[str, str, float]] = []

    class Learned:
        def limit(self, member: str, phase: str, default: float) -> float:
            asked.append((member, phase, default))
            return 0.05 if phase == "launching" else 60.0

    races = Races("a", "b", stuck_after=33.0)
    races.patience = Learned()
    told = races.begin()
    races.say("a", BUILDING, BUILT)
    await until(lambda: BUILT in told.events)
    await asyncio.sleep(0.1)
    assert told.members == ["a"]
    races.say("a", LAUNCHING)
    await told.hears("in launching; b is tried as well")
    await told.left()
    assert [("a", phase, 33.0) for phase in ("connecting", "building", "built", "launching")] == asked[:4]


@pytest.mark.parametrize(
    ("slow_said", "failure", "ends"),
    [
        ((BUILDING,), FAILED, True),
        ((BUILT,), FAILED, False),
        ((), LIMITED, True),
        ((BUILDING,), LIMITED, False),
    ],
    ids=["building", "built", "nothing heard", "let in"],
)
async def test_a_final_failure_ends_the_launch_unless_the_other_disproves_it(
    slow_said: tuple[Any, ...], failure: dict[str, Any], ends: bool
) -> None:
    races = Races("a", "b")
    told = races.begin()
    races.say("a", *slow_said)
    await told.hears("is tried as well")
    races.say("b", failure)
    if ends:
        assert (await told.over())[-1] == failure
        assert races.attempts()[1] == ("a", "abandoned", "overtaken")  # no fault of the slow one is shown
        assert races.end().outcome is Outcome.FAILED
    else:
        await told.hears("a goes on with it")
        races.say("a", READY)
        events = await told.over()
        assert events[-1] == READY and failure not in events
    assert races.attempts()[0][:2] == ("b", "failed")


async def test_what_was_disproved_is_not_believed_when_the_other_fails_too() -> None:
    races = Races("a", "b", "c")
    told = races.begin()
    races.say("a", BUILT)
    await told.hears("b is tried as well")
    races.say("b", FAILED)
    await told.hears("a goes on with it")
    races.say("a", BrokenOff("ended the stream early"))
    races.say("c", READY)
    assert (await told.over())[-1] == READY and told.members == ["a", "b", "c"]


async def test_the_slow_ones_final_failure_ends_the_launch_by_the_same_rule() -> None:
    races = Races("a", "b")
    told = races.begin()
    await told.hears("is tried as well")
    races.say("b", BUILDING)
    await until(lambda: BUILDING in told.events)
    races.say("a", FAILED)
    assert (await told.over())[-1] == FAILED
    assert races.end().member == "a"


def test_the_rule_of_final_failures() -> None:
    repository, refused = (Verdict(Ending.FINAL, cause) for cause in ("repository", "refused"))
    silent, building, built = (Progress(0.0) for _ in range(3))
    building.take(BUILDING, "", 1.0)
    built.take(BUILT, "", 1.0)
    assert [stands(repository, [other]) for other in (silent, building, built)] == [True, True, False]
    assert [stands(refused, [other]) for other in (silent, building, built)] == [True, False, False]
    assert stands(repository, []) and stands(refused, [])


@pytest.mark.parametrize("moment", ["first", "hedge", "started"])
async def test_a_visitor_who_leaves_ends_all_attempts(moment: str) -> None:
    races = Races("a", "b")
    told = races.begin()
    if moment == "started":
        await until(lambda: told.events)  # the attempt's task may not even have run
    else:
        await told.hears("takes this launch" if moment == "first" else "is tried as well")
        await until(lambda: races.streams.open_now.total() == len(told.members))
    await told.left()
    nothing_left(races)
    assert {ended[1:] for ended in races.attempts()} == {("abandoned", "abandoned")}
    assert len(races.attempts()) == len(told.members)
    assert (races.end().outcome, races.end().cause) == (Outcome.ABANDONED, "abandoned")


async def test_the_visitor_sets_the_pace_and_is_no_fault_of_the_member() -> None:
    races = Races("a", "b", stuck_after=0.6)
    told = races.begin()
    await until(lambda: told.events)
    told.pace.clear()
    races.say("a", *[LAUNCHING] * 100)
    await until(lambda: races.streams.given > HANDED_ON)
    await asyncio.sleep(0.8)
    assert races.streams.given <= HANDED_ON + 3
    told.pace.set()
    await until(lambda: len(told.passed) == 100)
    await asyncio.sleep(0.05)
    assert not [fact for fact in races.facts if isinstance(fact, Overdue)]
    races.say("a", READY)
    assert (await told.over())[-1] == READY


async def test_ready_ends_the_other_however_slowly_the_visitor_reads() -> None:
    races = Races("a", "b")
    told = races.begin()
    await told.hears("is tried as well")
    told.pace.clear()
    races.say("b", *[BUILDING] * 4, READY)
    await until(lambda: not +races.streams.open_now)
    assert READY not in told.events
    told.pace.set()
    assert (await told.over())[-1] == READY


async def test_while_nobody_listens_nobody_is_overtaken() -> None:
    races = Races("a", "b")
    races.audience.leave()
    told = races.begin()
    await until(lambda: races.streams.opened)
    await asyncio.sleep(0.3)
    assert told.members == ["a"] and not any(isinstance(fact, Overdue) for fact in races.facts)
    races.audience.join()
    await told.hears("is tried as well")
    await told.left()


async def test_phases_are_told_of_launches_that_came_to_a_good_end_only() -> None:
    races = Races("a", "b", stuck_after=20.0)
    told = races.begin()
    races.say("a", BUILDING, BUILT, LAUNCHING, BrokenOff("ended the stream early"))
    races.say("b", BUILT, LAUNCHING, READY)
    await told.over()
    phases = [(fact.member, fact.phase) for fact in races.facts if isinstance(fact, PhaseEnded)]
    assert phases == [("b", "connecting"), ("b", "built"), ("b", "launching")]


async def test_a_fault_of_our_own_is_not_lost_in_a_task() -> None:
    races = Races("a")
    told = races.begin()
    races.say("a", ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        await told.over()
    nothing_left(races)


async def test_newcomers_do_not_join_a_build_that_stands_still() -> None:
    races = Races("a", "b", stuck_after=0.2)
    first = races.begin()
    races.say("a", BUILDING)
    await first.hears("b is tried as well")
    assert races._dispatcher._joining.members(LAUNCH) == ("b",)
    await first.left()


async def test_a_launch_lost_everywhere_says_so_under_one_id() -> None:
    races = Races("a", "b", "c")
    told = races.begin()
    for name in "abc":
        races.say(name, LEAVES)
    assert (await told.over())[-1]["phase"] == "failed"
    assert races.end().outcome is Outcome.FAILED
    lost = [fact for fact in races.facts if getattr(fact, "outcome", None) is Outcome.LOST]
    assert len(lost) == 3 and {fact.id for fact in lost} == {races.end().id}  # type: ignore[union-attr]
    assert races.pool.views()[0].state is State.HEALTHY
