"""Launches that outlive their connections: the visitor's to the front door, and the front door's to the member."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from contract_files import recorded
from door_stage import (
    READY,
    SPEC,
    Door,
    StockMember,
    event,
    plays,
    until,
    without_ids,
)
from our_member import STORY, OurMember

from federation.core.model import State
from federation.web.launch import RELAYS

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
async def ours() -> AsyncIterator[tuple[OurMember, StockMember]]:
    play = OurMember()
    async with StockMember("alpha", play) as member:
        yield play, member


Ours = tuple[OurMember, StockMember]


async def part(door: Door, events: int, after: str = "", path: str = SPEC) -> tuple[bytes, str]:
    """Reads this many events of a launch and breaks the connection: their bytes, and the last id."""
    found, last = b"", ""
    async with door.ask(path, headers=EVENTS | ({"Last-Event-ID": after} if after else {})) as answer:
        for _ in range(events):
            found += await answer.content.readuntil(b"\n\n")
            last = re.findall(rb"(?m)^id: (.*)$", found)[-1].decode()
        if answer.connection is not None and answer.connection.transport is not None:
            answer.connection.transport.abort()
    return found, last


async def rest(door: Door, after: str, path: str = SPEC) -> bytes:
    async with door.ask(path, headers=EVENTS | {"Last-Event-ID": after}) as answer:
        assert answer.status == 200
        return bytes(await answer.read())


@pytest.mark.parametrize("index", range(1, len(STORY) + 1))
async def test_a_visitor_who_comes_back_goes_on_after_any_event(index: int, ours: Ours) -> None:
    play, member = ours
    play.held = index + 1
    async with Door(member.configured()) as door:
        begun, last = await part(door, index + 1)  # with the front door's own first event
        play.gate.set()
        if index < len(STORY):
            begun += await rest(door, last)
        assert without_ids(begun).endswith(b"".join(STORY))
        assert without_ids(begun).count(b'"attempt"') == 1
        ids = re.findall(rb"(?m)^id: (.*)\.(\d+)$", begun)
        assert len({launch for launch, _ in ids}) == 1
        assert [int(number) for _, number in ids] == list(range(1, len(STORY) + 2))
        metrics = await door.text("/metrics")
    assert play.begun == 1
    assert 'federation_launches_total{cause="ready",member="alpha",outcome="ready"} 1.0' in metrics
    assert "abandoned" not in metrics


async def test_a_page_that_is_opened_again_gets_the_launch_from_its_beginning(ours: Ours) -> None:
    play, member = ours
    play.held = 5
    async with Door(member.configured()) as door:
        begun, last = await part(door, 4)
        await until(lambda: member.open == 0)  # the member knows that nobody listens
        again = asyncio.create_task(rest(door, last.partition(".")[0]))
        twin = asyncio.create_task(rest(door, last.partition(".")[0] + ".0"))
        await until(lambda: member.open == 1)
        play.gate.set()
        assert (await again).startswith(begun) and (await again) == (await twin)
        assert without_ids(await again).endswith(b"".join(STORY))
    assert play.begun == 1 and len(play.resumed) == 1


async def test_a_launch_that_ended_can_still_be_read_and_then_is_told_to_stop(ours: Ours) -> None:
    play, member = ours
    async with Door(member.configured()) as door:
        whole = (await door.launch()).body
        last = re.findall(rb"(?m)^id: (.*)$", whole)[-1].decode()
        assert await rest(door, last.partition(".")[0]) == whole
        assert json.loads((await rest(door, f"{last[:-2]}10")).split(b"data: ")[1]) == READY
        async with door.ask(SPEC, headers=EVENTS | {"Last-Event-ID": last}) as answer:
            assert answer.status == 204 and answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Cache-Control"] == "no-store"
    assert play.begun == 1


@pytest.mark.parametrize(
    "id", ["", "x", "7", "A" * 22, "A" * 22 + ".3", "é" * 22, "A" * 22 + ".-1", "A" * 5000]
)
async def test_an_id_that_is_not_known_begins_a_launch(id: str, ours: Ours) -> None:
    play, member = ours
    async with Door(member.configured()) as door:
        headers = {"Last-Event-ID": id.encode().decode("latin-1")}
        assert (await door.launch(**headers)).last == READY
    assert play.begun == 1 and play.resumed == []


async def test_an_id_opens_its_own_launch_alone(ours: Ours) -> None:
    play, member = ours
    async with Door(member.configured()) as door:
        whole = (await door.launch()).body
        launch = re.findall(rb"(?m)^id: (.*)\.\d+$", whole)[-1].decode()
        for other in ("/build/gh/binder-examples/other/HEAD", SPEC + "?build_only=true"):
            assert launch.encode() not in await rest(door, launch, other)
    assert play.begun == 3


@pytest.mark.parametrize("index", range(1, len(STORY)))
async def test_a_broken_connection_to_the_member_is_mended(index: int, ours: Ours) -> None:
    play, member = ours
    play.breaks = {index}
    async with StockMember("beta") as beta, Door(member.configured(1e9), beta.configured(1e-9)) as door:
        launched = await door.launch()
        assert launched.takers == ["alpha"]
        assert without_ids(launched.body).endswith(b"".join(STORY))
        assert door.state("alpha") is State.HEALTHY
    assert play.begun == 1 and len(play.resumed) == 1


async def test_a_connection_that_breaks_again_and_again_is_mended_while_it_goes_on(ours: Ours) -> None:
    play, member = ours
    play.breaks = set(range(1, len(STORY)))
    async with Door(member.configured()) as door:
        launched = await door.launch()
    assert without_ids(launched.body).endswith(b"".join(STORY))
    assert play.begun == 1 and launched.takers == ["alpha"]


async def test_a_member_that_dies_hands_over_at_once(ours: Ours) -> None:
    play, member = ours
    play.held = 4
    async with StockMember("beta") as beta, Door(member.configured(1e9), beta.configured(1e-9)) as door:
        launch = asyncio.create_task(door.launch())
        await until(lambda: member.open == 1)
        begun = asyncio.get_running_loop().time()
        await member.die()
        launched = await launch
        assert asyncio.get_running_loop().time() - begun < 3
        assert launched.takers == ["alpha", "beta"] and launched.last == READY


async def test_a_member_that_forgot_the_launch_begins_it_anew(ours: Ours) -> None:
    """The build's end is then before us again: its failure is the repository's, not the member's."""
    play, member = ours
    play.breaks, play.forgetful = {9}, True
    async with Door(member.configured()) as door:
        launched = await door.launch()
    assert play.begun == 2 and launched.takers == ["alpha"] and launched.last == READY
    assert launched.phases.count("built") == 2


async def test_while_nobody_listens_the_member_alone_decides(
    ours: Ours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A front door that went on listening would be taken for a visitor who got the server."""
    monkeypatch.setattr("federation.app.launching.AWAY", 0.5)
    play, member = ours
    play.held = 5
    async with Door(member.configured()) as door:
        await part(door, 4)
        await until(lambda: member.open == 0, 0.4)
        assert door.door.pool.views()[0].leases == 1
        await until(lambda: door.door.pool.views()[0].leases == 0, 3)
        metrics = await door.text("/metrics")
        assert (
            'federation_launches_total{cause="abandoned",member="alpha",outcome="abandoned"} 1.0' in metrics
        )
    assert play.begun == 1


async def test_a_stock_member_is_kept_for_a_visitor_who_comes_back(members: Any) -> None:
    go_on = asyncio.Event()

    async def play(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event(phase="building", message="x\n"))
        await go_on.wait()
        await response.write(event(**READY))

    members[0].play = play
    async with Door(members[0].configured()) as door:
        begun, last = await part(door, 2)
        await asyncio.sleep(0.1)
        assert members[0].open == 1
        go_on.set()
        assert (begun + await rest(door, last)).endswith(event(**READY))
        assert len(members[0].requests) == 1


async def test_what_a_very_long_launch_no_longer_keeps_is_told(members: Any) -> None:
    lines = [event(phase="building", message=f"{number} " + "x" * 20_000) for number in range(100)]
    members[0].play = plays(*lines, event(**READY))
    async with Door(members[0].configured()) as door:
        launched = await door.launch()
        assert launched.last == READY and len(launched.phases) == 101  # one who reads on misses nothing
        launch = re.findall(rb"(?m)^id: (.*)\.\d+$", launched.body)[0].decode()
        again = await rest(door, launch)
    assert len(again) < 700_000
    (note,) = re.findall(rb"(?m)^data: (.*not kept.*)$", again)
    missed = int(re.findall(rb"\d+", note)[0])
    told = [json.loads(data) for data in re.findall(rb"(?m)^data: (.*)$", again)]
    assert told[0]["attempt"] == 1 and told[-1] == READY
    assert len(told) - 1 + missed == 102


@pytest.mark.parametrize(
    "name",
    [
        "binderhub/cached-launch",
        "binderhub/cold-requirements",
        "binderhub/cold-dockerfile",
        "binderhub/build-failure",
    ],
)
async def test_one_who_knows_nothing_of_ids_reads_what_the_member_sent(name: str, members: Any) -> None:
    stream = recorded(name)
    members[0].play = plays(*stream.splitlines(keepends=True), hold=True)
    async with Door(members[0].configured()) as door:
        launched = await door.launch()
    frames = re.split(rb"\n\n+", without_ids(launched.body).strip())[1:]
    sent = re.findall(rb"(?m)^data: .*$", stream)
    assert frames == sent[: len(frames)] and len(frames) >= len(sent) - 1


async def test_nothing_is_left_of_launches_when_the_front_door_stops(ours: Ours) -> None:
    play, member = ours
    play.held = 4
    async with Door(member.configured()) as door:
        _, last = await part(door, 3)
        reading = asyncio.create_task(rest(door, last))
        await until(lambda: play.resumed)
        relays = door.runner.app[RELAYS]
        await door.runner.cleanup()
        await reading
        await until(lambda: member.open == 0, 3)
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "relay"]
        assert relays.find(last, None) is None  # type: ignore[arg-type]
