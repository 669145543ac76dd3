"""What ends by itself ends at its time, whatever the store says, and is kept as soon as the store takes it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from door_stage import until

from federation.adapters.store_memory import MemoryStore
from federation.core.facts import Fact, LoopFailed, Steered
from federation.core.model import Member
from federation.core.steering import NOTHING_SET, Change, Drain, Overrides, Weigh
from federation.service import steering as steered
from federation.service.ports import Loaded
from federation.service.steering import ENDED, ChangedMeanwhile, NoSuchMember, Signature, Steering


class Store(MemoryStore):
    """In memory, and broken when a test says so."""

    broken = False

    def __init__(self) -> None:
        super().__init__()
        self.kept: Overrides = {}

    async def commit(self, overrides: Overrides, change: Change) -> Change:
        await asyncio.sleep(0)
        if self.broken:
            raise OSError("full")
        self.kept = overrides
        return await super().commit(overrides, change)


class Desk:
    """A steering with its surroundings. What is in force is what `weights` tells."""

    def __init__(self, store: Store) -> None:
        self.time = 1000.0
        self.store = store
        self.facts: list[Fact] = []
        self.members = (Member("a", "http://a", 10.0), Member("b", "http://b", 5.0))
        self.weights: list[float] = []
        self.steering = Steering(store, self, lambda: self.members, self.apply, self.facts.append)

    def now(self) -> float:
        return self.time

    def apply(self) -> None:
        self.weights = [member.weight for member in self.steering.applied(self.members)]

    def told(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


@pytest.fixture
async def desk() -> Any:
    desk = Desk(Store())
    async with desk.steering:
        yield desk


async def test_the_end_does_not_wait_for_the_store(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.steering.steer("a", [Weigh(1.0), Drain()], Signature("ana", until=1060.0))
    assert desk.weights == [0.0, 5.0]
    desk.store.broken, desk.time = True, 1060.0
    desk.steering.tick()
    assert desk.weights == [10.0, 5.0]
    assert [(fact.by, fact.reason, fact.after) for fact in desk.told(Steered)[1:]] == [
        ("", ENDED, NOTHING_SET)
    ]
    await until(lambda: desk.told(LoopFailed))
    desk.steering.tick()  # not again before a while, and not told again
    with pytest.raises(OSError, match="full"):  # what came before is kept before
        await desk.steering.steer("b", [Drain()], Signature("ana"))
    assert desk.weights == [10.0, 5.0] and desk.store.kept.keys() == {"a"}

    desk.store.broken = False
    await desk.steering.steer("b", [Drain()], Signature("ana"))
    page = await desk.steering.audit(None, 10)
    assert [(one.id, one.member, one.reason) for one in page.changes] == [
        (3, "b", ""),
        (2, "a", ENDED),
        (1, "a", ""),
    ]
    assert desk.store.kept.keys() == {"b"}
    assert len(desk.told(Steered)) == 3


async def test_an_end_that_the_store_did_not_take_is_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steered, "AGAIN", 0.1)
    await desk.steering.steer("a", [Weigh(1.0)], Signature("ana", until=1060.0))
    desk.store.broken, desk.time = True, 1060.0
    desk.steering.tick()
    await until(lambda: desk.told(LoopFailed))
    desk.store.broken = False

    def kept() -> bool:
        desk.steering.tick()
        return not desk.store.kept

    await until(kept)
    assert len(desk.told(LoopFailed)) == len(desk.told(Steered)) - 1 == 1


async def test_parts_end_each_at_its_time(desk: Desk) -> None:
    await desk.steering.steer("a", [Weigh(1.0)], Signature("ana", until=1100.0))
    await desk.steering.steer("a", [Drain()], Signature("ben", until=1050.0))
    desk.time = 1050.0
    desk.steering.tick()
    assert desk.weights == [1.0, 5.0]
    desk.time = 1100.0
    desk.steering.tick()
    assert desk.weights == [10.0, 5.0]
    await until(lambda: not desk.store.kept)
    assert [one.id for one in (await desk.steering.audit(None, 10)).changes] == [4, 3, 2, 1]


async def test_an_edit_is_for_what_its_operator_knew(desk: Desk) -> None:
    known = {desk.steering.tag("a")}
    await desk.steering.steer("a", [Weigh(1.0)], Signature("ana", until=1060.0), known)
    with pytest.raises(ChangedMeanwhile):
        await desk.steering.steer("a", [Weigh(2.0)], Signature("ben"), known)
    with pytest.raises(NoSuchMember):
        await desk.steering.steer("c", [Weigh(2.0)], Signature("ben"))
    with pytest.raises(NoSuchMember):
        await desk.steering.steer("c", [Weigh(2.0)], Signature("ben"), known)
    desk.time = 1060.0  # its end is a change as well, though no heart has beaten yet
    await desk.steering.steer("a", [Weigh(3.0)], Signature("ben"), known)
    assert desk.weights == [3.0, 5.0]


async def test_a_store_that_cannot_be_read_keeps_no_front_door_from_serving() -> None:
    class Unreadable(Store):
        async def load(self) -> Loaded:
            raise OSError("unreadable")

    desk = Desk(Unreadable())
    async with desk.steering:
        assert [str(fact.error) for fact in desk.told(LoopFailed)] == ["unreadable"]
