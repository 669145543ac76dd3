"""The watch over signals: a task for each member, what it tells, and what it forgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from door_stage import until

from federation.core.counters import Count, Counts
from federation.core.facts import Fact, LoopFailed, Reconfigured
from federation.core.model import Member, Signal
from federation.core.rules import LaunchRules, Mode, PrometheusRules, Settings
from federation.service.ports import Reading
from federation.service.signals import SignalWatch, Sources

A, B = Member("a", "http://a", 1.0), Member("b", "http://b", 1.0)
OFTEN = PrometheusRules(interval=0.02, max_age=60.0)
RARELY = PrometheusRules(interval=3600.0, max_age=60.0)


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at


class Scripted:
    """A source that tells what it is given, once it may."""

    def __init__(self, reading: Reading | None = None) -> None:
        self.reading = reading or Reading()
        self.asked: list[Member] = []
        self.go = asyncio.Event()
        self.go.set()
        self.fault: Exception | None = None

    async def read(self, member: Member) -> Reading:
        self.asked.append(member)
        await self.go.wait()
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        return self.reading


class Stage:
    """A watch with what is around it."""

    def __init__(self, *members: Member, rules: PrometheusRules = OFTEN, mode: Mode = Mode.REDIRECT) -> None:
        self.settings = Settings(members, prometheus=rules, launch=LaunchRules(mode=mode))
        self.clock = Clock()
        self.prometheus, self.scrape = Scripted(), Scripted()
        self.facts: list[Fact] = []
        self.told: list[tuple[str, Mapping[str, Signal], int, int]] = []
        self.watch = SignalWatch(
            Sources(self.prometheus, self.scrape),
            lambda: self.settings,
            self.clock,
            lambda: 0.5,
            self.facts.append,
            lambda *told: self.told.append(told),
        )

    def configure(self, change: Callable[[Settings], Settings]) -> None:
        self.settings = change(self.settings)
        self.watch.listen(Reconfigured((), (), ()))

    async def rounds(self, number: int = 2) -> None:
        """Waits until what is set now has surely been told."""
        before = len(self.told)
        await until(lambda: len(self.told) >= before + number, 5)


def counts(at: float, **values: float) -> Counts:
    return {"p": Count(at, values)}


def tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("signals ")}


async def test_tasks_follow_the_configuration_and_end_with_the_block() -> None:
    stage = Stage(A, rules=RARELY)
    async with stage.watch:
        await until(lambda: stage.told)
        assert tasks() == {"signals a"}
        stage.configure(lambda old: replace(old, members=(B,)))
        await until(lambda: stage.told[-1][0] == "b")
        await until(lambda: tasks() == {"signals b"})
    assert tasks() == set()


async def test_a_new_configuration_does_not_wait_for_the_old_interval() -> None:
    stage = Stage(A, rules=RARELY)
    async with stage.watch:
        await stage.rounds(1)
        stage.configure(lambda old: replace(old, prometheus=OFTEN))
        await stage.rounds(3)


async def test_a_fault_of_ours_is_told_and_the_loop_goes_on() -> None:
    stage = Stage(A)
    stage.scrape.fault = RuntimeError("ours")
    async with stage.watch:
        await stage.rounds()
    assert [fact.where for fact in stage.facts if isinstance(fact, LoopFailed)] == ["signals of a"]


async def test_one_member_that_hangs_keeps_no_other_waiting() -> None:
    stage = Stage(A, replace(B, prometheus="http://p"))
    stage.prometheus.go.clear()
    async with stage.watch:
        await stage.rounds(3)
    assert {told[0] for told in stage.told} == {"a"}


async def test_a_prometheus_is_asked_where_there_is_one() -> None:
    own = replace(B, prometheus="http://own")
    stage = Stage(A, own)
    async with stage.watch:
        await until(lambda: stage.scrape.asked and stage.prometheus.asked)
        assert {m.name for m in stage.scrape.asked} == {"a"} and {m.name for m in stage.prometheus.asked} == {
            "b"
        }
        stage.configure(lambda old: replace(old, prometheus=replace(OFTEN, url="http://all")))
        await until(lambda: A in stage.prometheus.asked)
        stage.configure(lambda old: replace(old, prometheus=replace(OFTEN, scrape=False)))
        await stage.rounds(4)
        asked = len(stage.scrape.asked)
        await stage.rounds(4)
        assert len(stage.scrape.asked) == asked
        assert next(told for told in reversed(stage.told) if told[0] == "a") == ("a", {}, 0, 0)


async def test_what_could_not_be_asked_stays_known_until_it_is_too_old() -> None:
    stage = Stage(A)
    signal = Signal(7.0, 1000.0)
    stage.scrape.reading = Reading({"launching": signal, "builds": signal})
    async with stage.watch:
        await stage.rounds()
        assert stage.told[-1][1] == {"launching": signal, "builds": signal}
        stage.scrape.reading = Reading(unread={"launching": "no answer within 5 s"})
        await stage.rounds()
        assert stage.told[-1][1] == {"launching": signal}  # builds were asked for, and there are none
        assert stage.watch.unread("a") == {"launching": "no answer within 5 s"}
        stage.clock.at += OFTEN.max_age + 1
        await stage.rounds()
        assert stage.told[-1][1] == {}
    assert stage.watch.unread("stranger") == {}


async def outcomes(mode: Mode) -> tuple[int, int]:
    stage = Stage(A, mode=mode)
    stage.scrape.reading = Reading(counts=counts(1000, success=900, failure=90))
    async with stage.watch:
        await stage.rounds()
        stage.scrape.reading = Reading(counts=counts(1015, success=903, failure=92, retry=9))
        stage.clock.at = 1015
        await stage.rounds(3)
    return sum(told[2] for told in stage.told), sum(told[3] for told in stage.told)


async def test_outcomes_are_the_growth_of_counters_told_once() -> None:
    assert await outcomes(Mode.REDIRECT) == (3, 2)


async def test_relayed_launches_tell_their_own_outcome() -> None:
    assert await outcomes(Mode.RELAY) == (0, 0)


async def test_counters_survive_a_round_without_an_answer() -> None:
    stage = Stage(A)
    stage.scrape.reading = Reading(counts=counts(1000, success=1))
    async with stage.watch:
        await stage.rounds()
        stage.scrape.reading = Reading(unread={"launches": "no answer within 5 s"})
        await stage.rounds()
        stage.scrape.reading = Reading(counts=counts(1030, success=3))
        await stage.rounds(3)
    assert sum(told[2] for told in stage.told) == 2


async def test_a_member_that_moved_is_another_one() -> None:
    stage = Stage(A, rules=RARELY)
    stage.scrape.reading = Reading({"builds": Signal(1.0, 1000.0)}, counts(1000, success=1))
    async with stage.watch:
        await stage.rounds(1)
        stage.scrape.go.clear()
        stage.watch.listen(Reconfigured((), (), ()))
        await until(lambda: len(stage.scrape.asked) == 2)
        stage.configure(lambda old: replace(old, members=(replace(A, url="http://new"),)))
        stage.scrape.reading = Reading(unread={"builds": "answered 404"}, counts=counts(1015, success=9))
        stage.scrape.go.set()  # the answer of the old place does not count, the next is asked for at once
        await until(lambda: stage.scrape.asked[-1].url == "http://new" and len(stage.told) == 2)
        assert stage.told[-1] == ("a", {}, 0, 0)
