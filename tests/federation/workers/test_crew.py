"""Workers are kept at their number: the lost are replaced, the renewed go after their successors serve."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from door_stage import until

from federation.core.facts import Fact, LoopFailed
from federation.workers import crew as module
from federation.workers.crew import Crew, WorkerEnded
from federation.workers.hand import Hand


class FakeHand:
    """A worker without a process."""

    def __init__(self, pid: int, serves: bool) -> None:
        self.pid = pid
        self.ready = asyncio.Event()
        self.serves = serves
        self.dismissed = False
        self.began = asyncio.get_running_loop().time()
        self.said: list[str] = []
        self.over = asyncio.Event()
        self.ready.set()

    def retire(self, limit: float) -> None:
        self.dismissed = True
        self.said.append("retire")

    def stop(self) -> None:
        self.dismissed = True
        self.said.append("stop")
        self.over.set()

    async def attend(self) -> int:
        await self.over.wait()
        return -9


class Yard:
    """Starts fake workers, and keeps what was told."""

    def __init__(self, size: int = 2) -> None:
        self.serves = True
        self.started: list[FakeHand] = []
        self.facts: list[Fact] = []
        self.crew = Crew(size, self.start, self.facts.append)

    async def start(self) -> Hand:
        hand = FakeHand(len(self.started), self.serves)
        self.started.append(hand)
        return cast(Hand, hand)

    def running(self) -> list[int]:
        return [hand.pid for hand in self.crew.hands]


async def test_a_lost_worker_is_replaced_and_told_of() -> None:
    yard = Yard()
    await yard.crew.open()
    yard.started[0].over.set()
    await until(lambda: yard.running() == [1, 2])
    (fact,) = yard.facts
    assert isinstance(fact, LoopFailed) and fact.where == "worker" and "exit code -9" in str(fact.error)
    await yard.crew.close()
    assert yard.running() == [] and yard.started[2].said == ["stop"]


async def test_pauses_grow_while_workers_do_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float, real: Any = asyncio.sleep) -> None:
        if seconds >= module.FIRST_PAUSE:
            pauses.append(seconds)
            seconds = 0
        await real(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    yard = Yard(1)
    await yard.crew.open()
    for number in range(10):
        yard.started[number].over.set()
        await until(lambda number=number: len(yard.started) == number + 2)  # type: ignore[misc]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    await yard.crew.close()


async def test_a_renewed_worker_goes_when_its_successor_serves() -> None:
    yard = Yard()
    await yard.crew.open()
    yard.crew.renew(60)
    await until(lambda: len(yard.started) == 4)
    await until(lambda: yard.started[1].said == ["retire"])
    assert yard.started[0].said == ["retire"] and yard.running() == [0, 1, 2, 3]
    yard.started[0].over.set()
    yard.started[1].over.set()
    await until(lambda: yard.running() == [2, 3])
    assert not yard.facts, "an end on request is no surprise"
    await yard.crew.close()


async def test_the_old_workers_stay_when_a_new_one_does_not_serve() -> None:
    yard = Yard()
    await yard.crew.open()
    yard.serves = False
    yard.crew.renew(60)
    await until(lambda: yard.facts)
    assert yard.running()[:2] == [0, 1] and not yard.started[0].said and not yard.started[1].said
    assert yard.started[2].said == ["stop"]
    await yard.crew.close()


async def test_workers_that_never_serve_are_an_error() -> None:
    yard = Yard()
    yard.serves = False
    with pytest.raises(WorkerEnded):
        await yard.crew.open()
    await yard.crew.close()
    assert yard.running() == []


async def test_renewals_do_not_pile_workers_up() -> None:
    yard = Yard(1)
    await yard.crew.open()
    for number in range(5):
        yard.crew.renew(600)
        await until(lambda number=number: "retire" in yard.started[number].said)  # type: ignore[misc]
    await until(lambda: len(yard.running()) == 1 + module.MOST_RETIRING)
    assert yard.running() == [3, 4, 5]
    await yard.crew.close()
