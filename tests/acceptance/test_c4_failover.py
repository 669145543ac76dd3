"""C4: a launch that one member cannot finish goes on in the same stream on another one, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from acceptance_stage import (
    HASTY_HEALTH,
    HASTY_LAUNCH,
    Hub,
    never_pulls,
    not_ready,
    ranked,
    repo,
    three,
    visitors,
)
from aiohttp import web
from door_stage import Door, event, until
from fault_proxy import FaultProxy

from federation.core.model import State

CALM = replace(HASTY_HEALTH, interval=30)  # looks play no part
CLEAN_WITHIN = 3.0  # seconds


@asynccontextmanager
async def slowly_launching(hub: Hub) -> AsyncIterator[asyncio.Event]:
    """Its pulls begin, and wait for something that never happens; the event tells that one has begun."""
    begun = asyncio.Event()

    async def pull(request: web.Request, response: web.StreamResponse) -> None:
        begun.set()
        await response.write(event(phase="launching", message="Pulling image 1 of 2\n"))
        await never_pulls(request, response)

    hub.pull = pull
    yield begun


async def test_after_a_quota_race_the_stream_ends_ready_with_one_extra_line_and_no_refresh() -> None:
    async with three() as hubs:
        alpha, beta, _ = hubs
        async with Door(*ranked(hubs), launch=HASTY_LAUNCH, health=CALM) as door, visitors(door) as clicks:
            usual = await clicks.come(repo("first"))
            alpha.others = alpha.takes  # since the last look
            raced = await clicks.come(repo("second"))
            assert usual.takers == ["alpha"] and raced.takers == ["alpha", "beta"]
            assert raced.last["phase"] == "ready" and raced.last["url"].startswith(
                f"http://127.0.0.1:{beta.port}/"
            )
            assert len(raced.events) == len(usual.events) + 1
            assert raced.phases == usual.phases
            [extra] = [told["message"] for told in raced.events if told.get("attempt") == 2]
            assert extra == (
                "alpha could not finish this launch (Too many users on this BinderHub! Try again soon); "
                "beta continues.\n"
            )
            assert len(alpha.requests) == 2 and len(beta.requests) == 1  # the same stream: nobody asked again
            assert len(alpha.ours) == 1 and len(beta.ours) == 1


async def test_a_stuck_pull_is_hedged_and_the_loser_is_closed_within_seconds_without_a_session() -> None:
    async with three() as hubs:
        alpha, beta, gamma = hubs
        alpha.pull = never_pulls
        async with (
            Door(*ranked(hubs), launch=HASTY_LAUNCH, health=HASTY_HEALTH) as door,
            visitors(door) as clicks,
        ):
            launched = await clicks.come(repo("a"))
            assert launched.takers == ["alpha", "beta"] and launched.last["phase"] == "ready"
            await until(lambda: alpha.open == 0 and alpha.used == 0, CLEAN_WITHIN)
            assert door.door.pool.views()[0].leases == 0
            assert beta.used == 1 and gamma.requests == []


FAULTS: dict[str, Callable[[FaultProxy], None]] = {
    "reset": FaultProxy.cut,
    "hang": lambda proxy: setattr(proxy, "silent", True),
    "slow": lambda proxy: setattr(proxy, "slow", 0.2),
    "garbage": lambda proxy: setattr(proxy, "garbage", b"\x00\xff no chunk of a stream \r\n\r\n"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_in_mid_stream_is_one_extra_line(fault: Callable[[FaultProxy], None]) -> None:
    async with three() as hubs:
        alpha = hubs[0]
        async with (
            slowly_launching(alpha) as begun,
            Door(*ranked(hubs), launch=HASTY_LAUNCH, health=CALM) as door,
            visitors(door) as clicks,
        ):
            launch = asyncio.create_task(clicks.come(repo("a")))
            await begun.wait()
            fault(alpha.proxy)
            launched = await launch
            assert launched.takers == ["alpha", "beta"] and launched.last["phase"] == "ready"
            assert sum(told.get("attempt", 0) > 1 for told in launched.events) == 1
            if alpha.proxy.silent:  # a hub behind a dead network learns of it when that is back
                alpha.proxy.silent = False
            await until(lambda: alpha.open == 0 and alpha.used == 0, CLEAN_WITHIN)
            assert door.door.pool.views()[0].leases == 0


async def test_a_stream_of_garbage_from_the_member_itself_goes_on_elsewhere() -> None:
    async with three() as hubs:

        async def garbled(request: web.Request, response: web.StreamResponse) -> None:
            await response.write(b"data: {not json\n\n")
            await asyncio.Event().wait()

        hubs[0].play = garbled
        async with Door(*ranked(hubs), launch=HASTY_LAUNCH, health=HASTY_HEALTH) as door:
            launched = await door.launch()
            assert launched.takers == ["alpha", "beta"] and launched.last["phase"] == "ready"
            await until(lambda: hubs[0].open == 0, CLEAN_WITHIN)


async def test_a_member_that_dies_in_mid_launch_is_left_and_sent_nothing_more() -> None:
    async with three() as hubs:
        alpha = hubs[0]
        async with (
            slowly_launching(alpha) as begun,
            Door(*ranked(hubs), launch=HASTY_LAUNCH, health=HASTY_HEALTH) as door,
        ):
            launches = [asyncio.create_task(door.launch(repo(number))) for number in range(5)]
            await begun.wait()
            await until(lambda: alpha.open == 5)
            await alpha.die()
            launched = await asyncio.gather(*launches)
            assert not_ready(launched) == []
            assert all(one.takers == ["alpha", "beta"] for one in launched)
            await until(lambda: door.state("alpha") is State.EJECTED)
            assert (await door.launch(repo("later"))).takers == ["beta"]


async def test_nobody_notices_a_flapping_member() -> None:
    async with three() as hubs:
        alpha = hubs[0]

        async def flap() -> None:
            while True:
                alpha.proxy.cut()
                await asyncio.sleep(0.15)
                alpha.proxy.refuse = False
                await asyncio.sleep(0.25)

        async with Door(*ranked(hubs), launch=HASTY_LAUNCH, health=HASTY_HEALTH) as door:
            flapping = asyncio.create_task(flap())
            try:
                launched = []
                async with asyncio.TaskGroup() as clicks:
                    for number in range(40):
                        launched.append(clicks.create_task(door.launch(repo(number))))
                        await asyncio.sleep(0.05)
            finally:
                flapping.cancel()
            assert not_ready([one.result() for one in launched]) == []
            await until(lambda: all(hub.open == 0 for hub in hubs), CLEAN_WITHIN)
