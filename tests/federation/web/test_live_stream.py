"""A program that listens to the front door hears how its members stand and what happens, as long as it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from door_stage import Door, StockMember, event, plays, until
from heard import Heard

from federation.core.facts import Steered
from federation.core.model import State
from federation.core.rules import LaunchRules, Mode, Operator, Role
from federation.core.steering import Override, Word
from federation.service import live as channels
from federation.web import events
from federation.web.identity import digest

Pair = tuple[StockMember, StockMember]
EVENTS = "/federation/v1/events"
ANN = Operator("ann", Role.VIEWER, (digest("secret"),))
TOKEN = {"Authorization": "Bearer secret"}


@asynccontextmanager
async def listening(door: Door, **headers: str) -> AsyncIterator[Heard]:
    async with door.ask(EVENTS, headers=headers) as answer:
        assert answer.status == 200 and answer.content_type == "text/event-stream"
        yield Heard(answer)


def heard(door: Door) -> bool:
    return door.runner.app[events.LIVE].heard


async def test_it_begins_with_the_members_and_goes_on_with_every_change(members: Pair) -> None:
    alpha, beta = members
    async with Door(alpha.configured(), beta.configured()) as door:
        async with listening(door) as stream:
            assert stream.answer.headers["Access-Control-Allow-Origin"] == "*"
            assert await stream.block() == ["retry: 3000"]
            first = await stream.next("members")
            asked = await door.json("/federation/v1/members")
            for told in (first, asked):
                for member in told["members"]:
                    del member["signals"]["probe"]["age"]
            assert first == asked
            await alpha.die()
            await stream.state(0, "ejected")
            await alpha.start()
            await stream.state(0, "healthy")
        await until(lambda: not heard(door))


@pytest.mark.parametrize("mode", [Mode.RELAY, Mode.REDIRECT])
async def test_every_launch_that_ended_is_told_as_the_decisions_tell_it(mode: Mode, members: Pair) -> None:
    alpha, _ = members
    alpha.play = plays(event(phase="failed", message="No such ref: nope\n", status_code=404))
    async with (
        Door(alpha.configured(), launch=LaunchRules(mode=mode, connect_timeout=2)) as door,
        listening(door) as stream,
    ):
        await stream.next("members")
        await door.launch()
        told = await stream.next("decision")
        assert told["outcome"] == ("redirected" if mode is Mode.REDIRECT else "failed")
        assert [told] == (await door.json("/federation/v1/decisions"))["decisions"]


async def test_only_those_inside_hear_who_steered_and_only_as_long_as_their_token_is_good(
    members: Pair,
) -> None:
    alpha, _ = members
    async with (
        Door(alpha.configured(), operators=(ANN,)) as door,
        listening(door) as public,
        listening(door, **TOKEN) as inside,
        listening(door, Authorization="Bearer nonsense") as stranger,
    ):
        assert inside.answer.headers["Cache-Control"] == "no-store"
        for stream in (public, inside, stranger):
            await stream.next("members")
        drained = Override(drained=Word("ann", "upgrade", 5.0))
        door.door.tell(Steered("alpha", "ann", Override(), drained, "upgrade", 5.0))
        told = await inside.next("steered")
        assert (told["member"], told["by"], told["reason"]) == ("alpha", "ann", "upgrade")
        door.runner.app[events.LIVE].publish("incident", {"id": 1})
        for stream in (public, stranger):
            assert await stream.next("steered", "incident") == {"id": 1}
        door.door.running.settings = replace(door.door.settings(), operators=())
        door.door.tell(Steered("alpha", "bob", drained, Override(), "", 6.0))
        with pytest.raises(EOFError):
            while True:
                assert (await inside.block())[0] != "event: steered"
        door.runner.app[events.LIVE].publish("incident", {"id": 2})
        assert await public.next("incident") == {"id": 2}


async def test_it_ends_when_the_front_door_stops(members: Pair) -> None:
    async with Door(members[0].configured()) as door, listening(door) as stream:
        await stream.next("members")
        stopping = asyncio.create_task(door.runner.cleanup())
        with pytest.raises(EOFError):
            while True:
                await stream.block()
        await stopping


async def test_a_comment_in_every_silence_and_a_refusal_when_all_places_are_taken(
    members: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "KEEPALIVE_EVERY", 0.01)
    monkeypatch.setattr(channels, "MOST_PUBLIC", 1)
    async with Door(members[0].configured(), operators=(ANN,)) as door, listening(door) as stream:
        await stream.next("members")
        while await stream.block() != [":keepalive"]:
            pass
        async with door.ask(EVENTS) as answer:
            assert answer.status == 503 and answer.headers["Retry-After"]
            assert (await answer.json())["status"] == 503
        async with listening(door, **TOKEN) as inside:
            await inside.next("members")
        async with door.session.head(f"{door.url}{EVENTS}") as answer:
            assert answer.status == 200 and answer.content_type == "text/event-stream"


async def test_who_reads_nothing_is_cut_off(members: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.web.launch.STALLED", 0.2)
    async with Door(members[0].configured()) as door, listening(door) as good:
        await good.next("members")
        address = (str(door.url.host), door.url.port)
        _, writer = await asyncio.open_connection(*address, limit=1024)
        writer.write(f"GET {EVENTS} HTTP/1.1\r\nHost: door\r\n\r\n".encode())
        public = door.runner.app[events.LIVE].public
        await until(lambda: public._listeners == 2)

        async def flood() -> None:
            while public._listeners == 2:
                public.publish(b": " + b"x" * 100_000 + b"\n\n")
                await good.block()

        async with asyncio.timeout(30):
            await flood()
        writer.close()
        assert door.state("alpha") is State.HEALTHY
        door.runner.app[events.LIVE].publish("incident", {"id": 1})
        assert await good.next("incident") == {"id": 1}
