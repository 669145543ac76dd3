"""Visitors of a full federation wait in the stream of their launch, against a real member with one seat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from door_stage import READY, SPEC, Door, StockMember, event, until

from federation.web.launch import RELAYS

EVENTS = {"Accept": "text/event-stream"}


class OneSeat:
    """A member with one seat; each launch is ready when the gate opens, and then its session has the seat."""

    def __init__(self, member: StockMember) -> None:
        self.member = member
        self.gate = asyncio.Event()
        self.begun = 0
        member.play = self.play
        self.show(sessions=0)

    def show(self, *, sessions: int) -> None:
        quota = {"service": "Pod quota", "ok": True, "total_pods": sessions, "quota": 1}
        self.member.told = {"ok": True, "checks": [quota]}

    async def play(self, request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event(phase="launching", message="Launching server...\n"))
        await self.gate.wait()
        self.begun += 1
        self.show(sessions=1)
        await response.write(event(**READY))

    async def ends(self, door: Door, number: int) -> None:
        """The session of this number begins, is seen, and ends."""
        await until(lambda: self.begun == number and _used(door) == 1)
        assert _free(door) == 0 and self.begun == number
        self.show(sessions=0)


def _used(door: Door) -> int | None:
    seats = door.door.pool.views()[0].seats
    return None if seats is None else seats.used


def _free(door: Door) -> int | None:
    return door.door.pool.views()[0].free


class Visitor:
    """One who reads a launch of a repository of its own."""

    def __init__(self, door: Door, number: int) -> None:
        self.events: list[dict[str, object]] = []
        self._path = SPEC.replace("requirements", f"repo-{number}")
        self.task = asyncio.create_task(self._read(door))

    async def _read(self, door: Door) -> None:
        async with door.ask(self._path, headers=EVENTS) as answer:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    self.events.append(json.loads(line[6:]))

    @property
    def places(self) -> list[tuple[object, object]]:
        return [(told["position"], told["of"]) for told in self.events if "position" in told]

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


@pytest.fixture
async def busy(members: tuple[StockMember, StockMember]) -> AsyncIterator[tuple[OneSeat, Door]]:
    """A front door whose only seat is taken by a launch under way."""
    seat = OneSeat(members[0])
    async with Door(members[0].configured()) as door:
        first = Visitor(door, 0)
        await until(lambda: members[0].open == 1)
        yield seat, door
        await first.leave()


Busy = tuple[OneSeat, Door]


async def test_visitors_wait_in_line_and_are_let_in_one_by_one(busy: Busy) -> None:
    seat, door = busy
    one = Visitor(door, 1)
    await until(lambda: one.places == [(1, 1)])
    other = Visitor(door, 2)
    await until(lambda: other.places == [(2, 2)])
    assert one.events[0]["message"] == "Every member is full. You are 1st in line.\n"
    assert one.events[0]["phase"] == "waiting"
    assert len(seat.member.requests) == 1  # nobody was sent to be refused
    seat.gate.set()
    await seat.ends(door, 1)
    await asyncio.wait_for(one.task, 10)
    assert not other.task.done() and len(seat.member.requests) == 2
    await seat.ends(door, 2)
    await asyncio.wait_for(other.task, 10)
    for visitor in (one, other):
        assert visitor.events[-1] == READY and "failed" not in [told["phase"] for told in visitor.events]
    await seat.ends(door, 3)
    await until(lambda: _free(door) == 1)
    assert not door.door.room.waiting and door.door.pool.views()[0].leases == 0


async def test_a_ready_launch_keeps_its_seat_until_the_members_numbers_show_it(busy: Busy) -> None:
    seat, door = busy
    seat.show = lambda *, sessions: None  # type: ignore[method-assign] - its numbers are old
    one = Visitor(door, 1)
    await until(lambda: one.places)
    seat.gate.set()
    await until(lambda: seat.begun == 1)
    looks = seat.member.looks
    await until(lambda: seat.member.looks > looks + 2)
    assert _used(door) == 0 and _free(door) == 0 and len(seat.member.requests) == 1
    await one.leave()


async def test_one_who_closes_the_tab_makes_room(busy: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    seat, door = busy
    monkeypatch.setattr(door.runner.app[RELAYS], "_grace", 0.2)
    one = Visitor(door, 1)
    await until(lambda: one.places)
    other = Visitor(door, 2)
    await until(lambda: other.places == [(2, 2)])
    await one.leave()
    await until(lambda: other.places == [(2, 2), (1, 1)])
    metrics = await door.text("/metrics")
    assert 'federation_launches_total{cause="abandoned",member="",outcome="abandoned"} 1.0' in metrics
    seat.gate.set()
    await seat.ends(door, 1)
    await asyncio.wait_for(other.task, 10)
    assert other.events[-1] == READY and len(seat.member.requests) == 2


async def test_one_who_waits_may_come_back_after_a_lost_connection(busy: Busy) -> None:
    seat, door = busy
    async with door.ask(SPEC, headers=EVENTS) as answer:
        begun = await answer.content.readuntil(b"in line")
        answer.close()
    last = begun.split(b"id: ")[1].split(b"\n")[0].decode()
    again = asyncio.create_task(door.launch(**{"Last-Event-ID": last.partition(".")[0]}))
    await asyncio.sleep(0.1)
    assert door.door.room.waiting == 1
    seat.gate.set()
    await seat.ends(door, 1)
    launched = await again
    assert launched.last == READY and launched.events[0]["position"] == 1


async def test_a_front_door_that_stops_empties_the_line(busy: Busy) -> None:
    _, door = busy
    waiting = [Visitor(door, number) for number in (1, 2, 3)]
    await until(lambda: all(visitor.places for visitor in waiting))
    await door.runner.cleanup()
    await asyncio.wait_for(asyncio.gather(*(visitor.task for visitor in waiting)), 5)
    assert not door.door.room.waiting
