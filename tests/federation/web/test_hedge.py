"""A launch that stands still is started on the next member as well: pulls that hang on real members, all green."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from aiohttp import web
from door_stage import FAST, READY, SPEC, SUCCESS, Door, StockMember, event, plays, until, without_ids
from fault_proxy import fault_proxy
from our_member import OurMember

from federation.core.facts import Fact, Overdue
from federation.core.model import Member

Pair = tuple[StockMember, StockMember]
EVENTS = {"Accept": "text/event-stream"}
SOON_STUCK = replace(FAST, stuck_after=0.6)
BUILT = event(phase="built", imageName="i", message="Found built image, launching...\n")
LAUNCHING = event(phase="launching", message="Launching server...\n")


async def hanging_pull(request: web.Request, response: web.StreamResponse) -> None:
    """A stock member whose image never comes: it says so for ever, and keeps the connection alive."""
    await response.write(BUILT + LAUNCHING)
    while True:
        await asyncio.sleep(0.1)
        await response.write(b":keepalive\n\n" + event(phase="launching", message="Still launching...\n"))


def pair(members: Pair) -> tuple[Member, Member]:
    """Alpha comes first, whatever the hash says."""
    return members[0].configured(1e9), members[1].configured(1e-9)


async def test_a_hanging_pull_is_overtaken_though_the_member_talks_and_is_green(members: Pair) -> None:
    alpha, beta = members
    alpha.play = hanging_pull
    async with Door(*pair(members), launch=SOON_STUCK) as door:
        facts: list[Fact] = []
        door.door._listeners.append(facts.append)
        launched = await door.launch()
        assert launched.takers == ["alpha", "beta"] and launched.last == READY
        ours = [told for told in launched.events if told.get("attempt") == 2]
        assert re.fullmatch(
            r"alpha has not moved for \d s in launching; beta is tried as well\.\n", ours[0]["message"]
        )
        after = launched.events[launched.events.index(ours[0]) + 1 :]
        assert "Still launching...\n" not in [told["message"] for told in after]
        await until(lambda: alpha.open == beta.open == 0)
        await until(lambda: all(view.leases == 0 for view in door.door.pool.views()))
        assert [fact.member for fact in facts if isinstance(fact, Overdue)] == ["alpha"]
        metrics = await door.text("/metrics")
    assert 'federation_attempts_total{cause="stuck",member="alpha",outcome="lost"} 1.0' in metrics
    assert 'federation_launches_total{cause="ready",member="beta",outcome="ready"} 1.0' in metrics


async def test_a_silent_network_is_overtaken(members: Pair) -> None:
    alpha, beta = members
    alpha.play = plays(BUILT, LAUNCHING, hold=True)
    rules = replace(SOON_STUCK, stuck_after=1.0)
    async with fault_proxy("127.0.0.1", alpha.port) as proxy:
        far = Member("far", f"http://{proxy.host}", 1e9)
        async with Door(far, beta.configured(1e-9), launch=rules) as door:
            launch = asyncio.create_task(door.launch())
            await until(lambda: alpha.open == 1)
            proxy.silent = True
            launched = await launch
        assert launched.takers == ["far", "beta"] and launched.last == READY


async def test_the_events_of_the_newest_pass_byte_for_byte(members: Pair) -> None:
    alpha, beta = members
    alpha.play = hanging_pull
    odd = b'data: {"phase":   "building", "message": "\\u00e4 \\ud83d"  }\n\n'
    beta.play = plays(odd, BUILT, LAUNCHING, event(**READY))
    async with Door(*pair(members), launch=SOON_STUCK) as door:
        launched = await door.launch()
    assert without_ids(launched.body).endswith(odd + BUILT + LAUNCHING + event(**READY))


async def test_the_slow_one_wins_when_it_is_ready_first(members: Pair) -> None:
    alpha, beta = members
    go_on = asyncio.Event()

    async def slow(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(BUILT + LAUNCHING)
        while not go_on.is_set():
            await response.write(b":keepalive\n\n")
            await asyncio.sleep(0.1)
        await response.write(event(**READY))
        await asyncio.Event().wait()

    alpha.play, beta.play = slow, plays(event(phase="building", message="x\n"), hold=True)
    rules = replace(SOON_STUCK, stuck_after=1.0)
    async with Door(*pair(members), launch=rules) as door:
        launch = asyncio.create_task(door.launch())
        await until(lambda: beta.open == 1)
        go_on.set()
        launched = await launch
        assert launched.last == READY and launched.takers == ["alpha", "beta"]
        await until(lambda: alpha.open == beta.open == 0)
        metrics = await door.text("/metrics")
    assert 'cause="ready",member="alpha",outcome="ready"' in metrics
    assert 'member="beta",outcome="lost"' not in metrics


async def test_a_visitor_who_stays_away_ends_both(members: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.app.launching.AWAY", 0.3)
    alpha, beta = members
    alpha.play = beta.play = hanging_pull
    async with Door(*pair(members), launch=SOON_STUCK) as door:
        async with door.ask(SPEC, headers=EVENTS) as answer:
            await answer.content.readuntil(b"is tried as well")
            await until(lambda: alpha.open == beta.open == 1)
            answer.close()
        await until(lambda: alpha.open == beta.open == 0, 5)
        await until(lambda: all(view.leases == 0 for view in door.door.pool.views()))
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("attempt")]
        metrics = await door.text("/metrics")
    assert 'federation_launches_total{cause="abandoned",member="beta",outcome="abandoned"} 1.0' in metrics


async def test_a_visitor_who_comes_back_in_mid_race_misses_nothing(members: Pair) -> None:
    alpha, beta = members
    alpha.play = hanging_pull
    go_on = asyncio.Event()

    async def build(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event(phase="building", message="one\n"))
        await go_on.wait()
        await response.write(BUILT + LAUNCHING + event(**READY))

    beta.play = build
    async with Door(*pair(members), launch=replace(SOON_STUCK, stuck_after=1.0)) as door:
        async with door.ask(SPEC, headers=EVENTS) as answer:
            begun = await answer.content.readuntil(b'"one\\n"}\n\n')
            answer.close()
        last = re.findall(rb"(?m)^id: (.*)$", begun)[-1].decode()
        go_on.set()
        async with door.ask(SPEC, headers=EVENTS | {"Last-Event-ID": last}) as answer:
            whole = begun + await answer.read()
    assert whole.endswith(event(**READY))
    numbers = [int(number) for number in re.findall(rb"(?m)^id: .*\.(\d+)$", whole)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(alpha.requests) == len(beta.requests) == 1


async def test_a_member_of_ours_that_is_overtaken_hears_that_nobody_listens() -> None:
    play = OurMember(held=9)
    async with StockMember("alpha", play) as alpha, StockMember("beta", SUCCESS) as beta:
        async with Door(alpha.configured(1e9), beta.configured(1e-9), launch=SOON_STUCK) as door:
            launched = await door.launch()
            assert launched.takers == ["alpha", "beta"] and launched.last == READY
            await until(lambda: alpha.open == 0)
        assert play.begun == 1 and play.resumed == []


async def test_a_front_door_that_stops_in_mid_race_leaves_nothing(members: Pair) -> None:
    alpha, beta = members
    alpha.play = beta.play = hanging_pull
    async with Door(*pair(members), launch=SOON_STUCK) as door:
        launch = asyncio.create_task(door.launch())
        await until(lambda: alpha.open == beta.open == 1)
        await door.runner.cleanup()
        launched = await launch
        assert "failed" not in launched.phases
        await until(lambda: alpha.open == beta.open == 0, 3)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("attempt")]
