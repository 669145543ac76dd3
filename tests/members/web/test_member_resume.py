"""Launches that outlive their connections, on a member."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from member_fakes import (
    IMAGE,
    SPEC,
    FakeBuilder,
    FakeHub,
    FakeProvider,
    FakeStore,
    Listener,
    resolved,
    until,
)
from pytest import fixture, mark
from test_member_build import Told, make_app
from yarl import URL

from members.core.facts import LaunchEnded
from members.core.model import LaunchRequest
from members.core.quota import Quota
from members.service.builds import Builds
from members.service.launch import Launcher
from members.service.launches import Launches
from members.service.pipeline import Pipeline, Source
from members.service.sessions import Sessions
from members.web.gate import Gate
from members.web.keys import LAUNCHES

EVENTS = {"Accept": "text/event-stream"}
GRACE = 0.4
LINES = 5
WHOLE = 1 + LINES + 1 + 3 + 1  # waiting, the build, built, launching, ready


@dataclass
class Member:
    """A member whose world is faked, at a real address."""

    kept: float = 30.0
    grace: float = GRACE
    log_limit: int = 8 * 1024**2
    told: Listener = field(default_factory=Listener)
    store: FakeStore = field(default_factory=FakeStore)
    hub: FakeHub = field(default_factory=FakeHub)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Member]:
        self.builder = FakeBuilder(self.store, *(f"line {number}\n" for number in range(LINES)))
        builds = Builds(self.builder, self.store, self.told, concurrent=2, timeout=30, log_limit=10**9)
        self.sessions = Sessions(self.hub, Quota(), self.told)
        self.provider = FakeProvider()
        self.provider.answers["other"] = resolved("git://127.0.0.1/other.git")
        pipeline = Pipeline(
            {"git": Source(self.provider)},
            self.store,
            builds,
            self.sessions,
            Launcher(self.store, self.hub, self.sessions, self.told, attempts=1),
            self.told,
            image_prefix="",
            new_token=lambda: "T" * 22,
        )
        numbers = count(1)
        self.launches = Launches(
            pipeline.run,
            self.told,
            new_id=lambda: f"{next(numbers):022}",
            grace=self.grace,
            kept=self.kept,
            log_limit=self.log_limit,
        )
        app = make_app(Told(), self.told, Gate(api_only=True))
        app[LAUNCHES] = self.launches
        self.server = TestServer(app)
        await self.server.start_server()
        async with aiohttp.ClientSession() as self.http:
            yield self
        self.launches.stop()
        await self.server.close()
        await self.launches.close()
        await builds.close()
        await self.sessions.close()

    def ask(self, last: str = "", path: str = SPEC) -> Any:
        url = URL(f"http://{self.server.host}:{self.server.port}/build/git/{path}", encoded=True)
        return self.http.get(url, headers=EVENTS | ({"Last-Event-ID": last} if last else {}))

    async def part(self, events: int, last: str = "") -> bytes:
        """Reads this many events and breaks the connection."""
        async with self.ask(last) as answer:
            body = b"".join([await answer.content.readuntil(b"\n\n") for _ in range(events)])
            if answer.connection is not None and answer.connection.transport is not None:
                answer.connection.transport.abort()
        return body

    async def rest(self, last: str = "", path: str = SPEC) -> bytes:
        async with self.ask(last, path) as answer:
            assert answer.status == 200
            return bytes(await answer.read())


@fixture
async def member() -> AsyncIterator[Member]:
    async with Member().running() as member:
        yield member


def last_id(body: bytes) -> str:
    return str(re.findall(rb"(?m)^id: (.*)$", body)[-1].decode())


def events(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(data) for data in re.findall(rb"(?m)^data: (.*)$", body)]


def launch_of(body: bytes) -> str:
    return last_id(body).partition(".")[0]


async def held(member: Member, index: int) -> None:
    """Holds the launch at about this event, so that it is under way when the connection breaks."""
    if index <= LINES:
        member.builder.gate.clear()
    else:
        member.hub.gate.clear()


@mark.parametrize("index", range(1, WHOLE + 1))
async def test_a_client_that_comes_back_goes_on_after_any_event(index: int, member: Member) -> None:
    whole = await member.rest()
    assert len(events(whole)) == WHOLE
    member.store.images.clear()
    begun = await member.part(index)
    if index < WHOLE:
        begun += await member.rest(last_id(begun))
    assert begun.replace(b"0002.", b"0001.").replace(b"req-1", b"req-0") == whole
    assert len(member.builder.begun) == len(member.hub.created) == 2  # one for each launch
    assert [fact.status for fact in member.told.of(LaunchEnded)] == ["success"] * 2  # type: ignore[attr-defined]


@mark.parametrize("index", [1, 2, LINES + 2, LINES + 3, LINES + 4])
async def test_a_launch_goes_on_while_nobody_hears_it(index: int, member: Member) -> None:
    gate = member.builder.gate if index <= LINES else member.hub.gate
    gate.clear()
    begun = await member.part(min(index, 2 if index <= LINES else index))
    await asyncio.sleep(GRACE / 4)
    gate.set()
    begun += await member.rest(last_id(begun))
    assert len(events(begun)) == WHOLE and events(begun)[-1]["phase"] == "ready"
    assert len(member.builder.begun) == len(member.hub.created) == 1


async def test_two_tabs_with_one_id_read_one_launch(member: Member) -> None:
    member.builder.gate.clear()
    begun = await member.part(2)
    tabs = [asyncio.create_task(member.rest(launch_of(begun) + end)) for end in ("", ".0", ".2")]
    await asyncio.sleep(0.05)
    member.builder.gate.set()
    whole, again, rest = [await tab for tab in tabs]
    assert whole == again == begun + rest
    assert len(member.hub.created) == 1


async def test_one_who_stays_away_loses_the_launch(member: Member) -> None:
    member.store.images.add(IMAGE)
    member.hub.gate.clear()
    begun = await member.part(3)
    assert member.hub.running
    await until(lambda: member.hub.created[0].removed, GRACE + 2)
    await until(lambda: member.told.of(LaunchEnded))
    assert [fact.status for fact in member.told.of(LaunchEnded)] == ["abandoned"]  # type: ignore[attr-defined]
    member.hub.gate.set()
    anew = await member.rest(last_id(begun))
    assert launch_of(anew) != launch_of(begun) and events(anew)[0]["phase"] == "built"
    assert [session.removed for session in member.hub.created] == [True, False]


async def test_a_server_that_got_ready_for_nobody_is_removed(member: Member) -> None:
    member.store.images.add(IMAGE)
    member.hub.gate.clear()
    await member.part(3)
    await asyncio.sleep(GRACE / 4)
    member.hub.gate.set()
    await asyncio.sleep(GRACE / 4)
    assert not member.hub.created[0].removed and not member.told.of(LaunchEnded)
    await until(lambda: member.hub.created[0].removed, GRACE + 2)
    assert [fact.status for fact in member.told.of(LaunchEnded)] == ["abandoned"]  # type: ignore[attr-defined]


async def test_a_server_that_got_ready_in_the_meantime_is_still_there(member: Member) -> None:
    member.store.images.add(IMAGE)
    member.hub.gate.clear()
    begun = await member.part(3)
    member.hub.gate.set()
    await asyncio.sleep(GRACE / 4)
    assert events(await member.rest(last_id(begun)))[-1]["phase"] == "ready"
    await asyncio.sleep(GRACE + 0.2)
    assert not member.hub.created[0].removed
    assert [fact.status for fact in member.told.of(LaunchEnded)] == ["success"]  # type: ignore[attr-defined]


async def test_the_end_can_be_read_late_and_then_no_more() -> None:
    async with Member(kept=0.5).running() as member:
        whole = await member.rest()
        assert await member.rest(launch_of(whole)) == whole
        last = last_id(whole)
        before_last = f"{launch_of(whole)}.{WHOLE - 1}"
        assert events(await member.rest(before_last)) == events(whole)[-1:]
        async with member.ask(last) as answer:
            assert answer.status == 204 and await answer.read() == b""
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        async with member.ask(f"{launch_of(whole)}.99999") as answer:
            assert answer.status == 204
        assert len(member.hub.created) == 1
        await asyncio.sleep(0.7)
        assert launch_of(await member.rest(last)) != launch_of(whole)
        assert len(member.hub.created) == 2


@mark.parametrize("id", ["x", "0" * 22, "0" * 21 + "9.1", "é" * 22, "0" * 21 + "1.x", " ", "9" * 4000])
async def test_an_id_that_is_not_known_begins_a_launch(id: str, member: Member) -> None:
    await member.rest()
    assert events(await member.rest(id.encode().decode("latin-1")))[-1]["phase"] == "ready"
    assert len(member.hub.created) == 2


async def test_an_id_opens_its_own_launch_alone(member: Member) -> None:
    whole = await member.rest()
    for path in ("other", SPEC + "?build_only=true"):
        assert launch_of(await member.rest(launch_of(whole), path)) != launch_of(whole)


async def test_the_secret_of_a_launch_is_told_to_no_listener(member: Member) -> None:
    whole = await member.rest()
    assert launch_of(whole) not in repr(member.told.facts)
    assert not any(launch_of(whole) in task.get_name() for task in asyncio.all_tasks())


async def test_a_slow_reader_gets_every_event(member: Member) -> None:
    """It sets the pace: what it has not read yet is not forgotten while it reads on."""
    member.builder.lines = [
        type(line)(f"{number} {'x' * 20_000}\n") for number, line in enumerate(member.builder.lines * 300)
    ]
    async with member.ask() as answer:
        await asyncio.sleep(0.5)
        chunks = []
        async for chunk in answer.content.iter_chunked(100_000):
            chunks.append(chunk)
            await asyncio.sleep(0.001)
    body = b"".join(chunks)
    assert len(body) > 30_000_000
    numbers = [int(number) for number in re.findall(rb'(?m)"message": "(\d+) x', body)]
    assert numbers == list(range(LINES * 300))
    again = events(await member.rest(launch_of(body)))
    assert again[-1]["phase"] == "ready" and len(again) < 600
    assert sum("not kept" in event["message"] for event in again) == 1


async def test_streams_and_launches_end_with_the_member() -> None:
    before = asyncio.all_tasks()
    async with Member().running() as member:
        member.hub.gate.clear()
        begun = await member.part(2)
        readers = [asyncio.create_task(member.rest(last_id(begun))) for _ in range(3)]
        await until(lambda: member.hub.running)
        member.launches.stop()
        for reader in readers:
            told = events(await asyncio.wait_for(reader, 5))
            assert (told[-1]["phase"], told[-1]["status_code"]) == ("failed", 503)
    assert [session.removed for session in member.hub.created] == [True]
    assert not [task for task in asyncio.all_tasks() - before if task.get_name() == "launch"]


async def test_launches_that_nobody_hears_are_bounded(member: Member, monkeypatch: Any) -> None:
    monkeypatch.setattr("members.service.launches.MOST_UNHEARD", 3)
    member.builder.gate.clear()
    bodies = [await member.part(2) for _ in range(6)]
    wish = LaunchRequest("git", SPEC, "", "")
    await until(
        lambda: [member.launches.find(last_id(body), wish) is None for body in bodies[:3]] == [True] * 3
    )
    assert all(member.launches.find(last_id(body), wish) for body in bodies[3:])
