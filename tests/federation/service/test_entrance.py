"""The way of a launch to its member: the waiting room, the retry budget, the last resort, and seats that never leak."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from door_stage import until
from race_stage import READY, Budget, Line, Races

from federation.core.errors import RoomFull, WaitedTooLong
from federation.core.facts import Outcome

QUOTA = {"phase": "failed", "message": "Too many users on this BinderHub! Try again soon.\n"}
LEAVES = {"phase": "failed", "message": "This member is shutting down\n"}


def waiting(*names: str, looked_at: bool = True) -> Races:
    races = Races(*names, looked_at=looked_at, stuck_after=20.0)
    races.room = Line()
    return races


def refused(races: Races) -> tuple[Outcome, str]:
    return races.end().outcome, races.end().cause


async def test_one_who_finds_all_full_waits_in_the_same_stream() -> None:
    races = waiting("a")
    races.seen("a", used=1)
    told = races.begin()
    place = await told.hears("in line")
    assert place["message"] == "Every member is full. You are 1st in line.\n"
    assert (place["phase"], place["position"], place["of"], place["estimate"]) == ("waiting", 1, 1, None)
    await asyncio.sleep(0.05)
    races.seen("a", used=0)
    races.say("a", READY)
    assert (await told.over())[-1] == READY
    assert races.end().waited >= 0.05 and races.end().seconds >= races.end().waited
    assert not races.room.waiting and races.leases == 1  # until the member's numbers show the session
    races.seen("a", used=1)
    assert races.leases == 0


async def test_one_who_finds_a_seat_does_not_wait() -> None:
    races = waiting("a")
    told = races.begin()
    races.say("a", READY)
    assert [event.get("position") for event in await told.over()] == [None, None]
    assert races.end().waited == 0.0


async def test_a_seat_is_no_newcomers_while_others_wait() -> None:
    races = waiting("a")
    races.room.others = 1
    told = races.begin()
    assert (await told.hears("in line"))["message"].startswith("Others wait for a seat as well.")
    races.room.others = 0
    races.say("a", READY)
    assert (await told.over())[-1] == READY


async def test_those_who_wait_never_take_one_seat_twice() -> None:
    races = waiting("a")
    races.seen("a", used=1)
    crowd = [races.begin(f"repo-{number}") for number in range(5)]  # a crowd of one would share a build
    await until(lambda: len(races.room.waiting) == 5)
    races.seen("a", used=0)
    for left in (4, 3, 2, 1, 0):
        await until(lambda left=left: len(races.room.waiting) == left)
        assert races.leases == 1
        races.say("a", READY)
        await until(lambda left=left: sum(told.task.done() for told in crowd) == 5 - left)
        assert races.leases == 1  # the session has the seat, though no number shows it yet
        races.seen("a", used=1)
        assert (races.leases, len(races.room.waiting)) == (0, left)
        await asyncio.sleep(0.02)
        assert len(races.room.waiting) == left
        races.seen("a", used=0)
    assert len(races.streams.opened) == 5


@pytest.mark.parametrize("state", ["ejected", "unknown"])
async def test_a_last_resort_is_not_taken_in_place_of_waiting(state: str) -> None:
    races = waiting("a", looked_at=state == "ejected")
    if state == "ejected":
        for _ in range(2):
            races.pool.refused("a", "is dead")
    told = races.begin()
    words = "No member is in service" if state == "ejected" else "Every member has yet to be looked at"
    assert (await told.hears("in line"))["message"].startswith(words)
    assert not races.streams.opened
    for seconds in (0, 20):  # the second look is after the back-off
        races.clock.time += seconds
        races.seen("a")
    races.say("a", READY)
    assert (await told.over())[-1] == READY


async def test_when_the_room_refuses_the_last_resort_is_tried() -> None:
    races = Races("a")
    races.seen("a", used=1)
    told = races.begin()
    races.say("a", READY)
    assert (await told.over())[-1] == READY  # its numbers were old
    assert "a last resort" in told.events[0]["message"]


async def test_a_full_room_keeps_the_seats_for_those_who_wait() -> None:
    races = waiting("a")
    races.seen("a", used=1)
    races.room.others, races.room.refuse = 1, RoomFull("500 launches wait already; try again later.")
    told = races.begin()
    message = (await told.over())[-1]["message"]
    assert message.startswith("500 launches wait already; try again later. a: full: 1 of 1 seats")
    assert refused(races) == (Outcome.FAILED, "room_full") and not races.streams.opened


async def test_one_without_a_place_reads_that_a_free_seat_is_somebody_elses() -> None:
    races = waiting("a")
    races.room.others, races.room.refuse = 1, RoomFull("500 launches wait already; try again later.")
    message = (await races.begin().over())[-1]["message"]
    assert message.endswith("try again later. a: others wait for its seats.\n")
    assert not races.streams.opened


async def test_one_who_waited_too_long_reads_so() -> None:
    races = waiting("a")
    races.seen("a", used=1)
    told = races.begin()
    await told.hears("in line")
    races.room.refuse = WaitedTooLong("No member had a seat for 10 min.")
    event = (await told.over())[-1]
    assert event["phase"] == "failed" and event["message"].startswith(
        "No member had a seat for 10 min. a: full"
    )
    assert refused(races) == (Outcome.FAILED, "waited_too_long")
    assert races.end().member is None and races.end().attempts == 0 and races.end().waited > 0


async def test_nobody_waits_for_drained_members_or_none() -> None:
    for races in (waiting(), waiting("a")):
        if races.settings.members:
            drained = replace(races.settings.members[0], weight=0.0)
            races.settings = replace(races.settings, members=(drained,))
            races.pool.configure(races.settings)
        told = races.begin()
        event = (await told.over())[-1]
        assert event["phase"] == "failed"
        assert ("a: weight 0" if races.settings.members else "There is none") in event["message"]
        assert refused(races) == (Outcome.FAILED, "no_member") and races.end().waited == 0


async def test_a_launch_that_failed_on_all_members_does_not_wait_for_them() -> None:
    races = waiting("a", "b")
    told = races.begin()
    for name in "ab":
        races.say(name, LEAVES)
    event = (await told.over())[-1]
    assert event["phase"] == "failed" and event["message"].startswith(
        "No member could finish this launch. a: This"
    )
    assert refused(races) == (Outcome.FAILED, "no_member")


async def test_a_member_that_only_ever_refuses_is_given_up() -> None:
    races = waiting("a")
    told = races.begin()
    for number in range(1, 22):
        await until(lambda number=number: len(races.streams.opened) == number)
        races.say("a", QUOTA)
        races.clock.time += 4000.0
        races.seen("a", used=0)
    assert (await told.over())[-1]["phase"] == "failed"


async def test_a_launch_that_lost_its_member_waits_for_the_others() -> None:
    races = waiting("a", "b")
    races.seen("b", used=1)
    told = races.begin()
    races.say("a", LEAVES)
    assert (await told.hears("in line"))["message"].startswith("Every other member is full.")
    races.seen("b", used=0)
    races.say("b", READY)
    assert (await told.over())[-1] == READY
    handed = [event["message"] for event in told.events if event.get("attempt") == 2]
    assert (
        handed[0].startswith("a could not finish this launch (This member is shutting down")
        and "b continues" in handed[0]
    )


async def test_a_failover_waits_for_its_turn_in_the_retry_budget() -> None:
    races = waiting("a", "b")
    races.budget = budget = Budget(0)
    told = races.begin()
    races.say("a", LEAVES)
    assert (await told.hears("in line"))["message"].startswith("Many launches fail just now")
    assert races.streams.opened == ["a"] and budget.launches == 1
    budget.left = 1
    races.say("b", READY)
    assert (await told.over())[-1] == READY


async def test_without_a_room_a_failover_that_is_not_granted_ends_the_launch() -> None:
    races = Races("a", "b", stuck_after=20.0)
    races.budget = Budget(0)
    told = races.begin()
    races.say("a", LEAVES)
    message = (await told.over())[-1]["message"]
    assert message.startswith("No member could finish this launch. a: This member is shutting down")
    assert "Many launches fail just now" in message
    assert refused(races) == (Outcome.FAILED, "retry_budget")


async def test_the_first_attempt_needs_no_grant() -> None:
    races = Races("a")
    races.budget = budget = Budget(0)
    told = races.begin()
    races.say("a", READY)
    assert (await told.over())[-1] == READY and (budget.left, budget.launches) == (0, 1)


async def test_one_who_leaves_is_out_of_the_line_at_once() -> None:
    races = waiting("a")
    races.seen("a", used=1)
    told = races.begin()
    await told.hears("in line")
    await told.left()
    assert not races.room.waiting and refused(races) == (Outcome.ABANDONED, "abandoned")
    assert races.end().waited > 0


async def test_a_seat_that_was_taken_for_one_who_left_is_given_back() -> None:
    """The room may let a launch in at the very moment in which it is given up."""
    entered = asyncio.Event()

    class Late(Line):
        async def wait(self, launch: Any, visitor: str, audience: Any, enter: Any) -> Any:
            assert enter() is not None
            entered.set()
            await asyncio.Event().wait()
            yield None

    races = Races("a")
    races.room = Late()
    races.room.others = 1
    told = races.begin()
    await entered.wait()
    assert races.leases == 1
    await told.left()
    assert races.leases == 0
