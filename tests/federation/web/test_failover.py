"""A launch goes on elsewhere in the same stream: over members that break behind a TCP proxy, and are left clean."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from door_stage import FAST, READY, SOON, SUCCESS, Door, StockMember, event, plays, until
from fault_proxy import FaultProxy, fault_proxy

from federation.core.facts import AttemptEnded, Fact, LaunchEnded, Outcome
from federation.core.model import Member, State

Pair = tuple[StockMember, StockMember]
LEAVES = event(phase="failed", message="This member is shutting down\n")
QUOTA = event(phase="failed", message="Too many users on this BinderHub! Try again soon.\n")
BUILT = event(phase="built", imageName="i", message="Found built image, launching...\n")
LAUNCHING = event(phase="launching", message="Launching server...\n")
PATIENT = replace(SOON, interval=3600, fall=100)  # members are taken for well, whatever happens


def facts_of(door: Door) -> list[Fact]:
    facts: list[Fact] = []
    door.door._listeners.append(facts.append)
    return facts


async def test_a_quota_race_costs_the_visitor_one_line(members: Pair) -> None:
    alpha, beta = members
    async with Door(alpha.configured(1e9), beta.configured(1e-9)) as door:
        usual = await door.launch()
        alpha.play = plays(BUILT, LAUNCHING, QUOTA)
        launched = await door.launch()
        assert launched.last == READY and launched.takers == ["alpha", "beta"]
        assert "failed" not in launched.phases
        ours = [told for told in launched.events if "attempt" in told]
        assert len(ours) == len([told for told in usual.events if "attempt" in told]) + 1
        assert ours[1]["message"] == (
            "alpha could not finish this launch (Too many users on this BinderHub! Try again soon); "
            "beta continues.\n"
        )
        await until(
            lambda: alpha.open == beta.open == 0
        )  # a closed stream is what ends a stock member's server
        assert all(view.leases == 0 for view in door.door.pool.views())


BREAKS = {
    "refused": lambda proxy: setattr(proxy, "refuse", True),
    "reset": lambda proxy: proxy.cut(),
    "garbage": lambda proxy: setattr(proxy, "instead", ("GET /build", b"\x00\xff nonsense\r\n\r\n")),
    "another status": lambda proxy: setattr(
        proxy, "instead", ("GET /build", b"HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n")
    ),
    "hang": lambda proxy: setattr(proxy, "silent", True),
}


@pytest.mark.parametrize("fault", BREAKS)
async def test_a_member_that_breaks_before_it_answers(fault: str, members: Pair) -> None:
    alpha, beta = members
    rules = replace(FAST, stuck_after=1.0)
    async with (
        fault_proxy("127.0.0.1", alpha.port) as proxy,
        Door(_behind(proxy), beta.configured(1e-9), launch=rules, health=PATIENT) as door,
    ):
        BREAKS[fault](proxy)
        launched = await door.launch()
        assert launched.takers == ["far", "beta"] and launched.last == READY
        assert all(view.leases == 0 for view in door.door.pool.views())


@pytest.mark.parametrize("fault", ["reset", "hang"])
async def test_a_member_that_breaks_in_mid_launch(fault: str, members: Pair) -> None:
    alpha, beta = members
    alpha.play = plays(BUILT, LAUNCHING, hold=True)
    rules = replace(FAST, stuck_after=1.0)
    async with (
        fault_proxy("127.0.0.1", alpha.port) as proxy,
        Door(_behind(proxy), beta.configured(1e-9), launch=rules, health=PATIENT) as door,
    ):
        launch = asyncio.create_task(door.launch())
        await until(lambda: alpha.open == 1)
        BREAKS[fault](proxy)
        launched = await launch
        assert launched.takers == ["far", "beta"] and launched.last == READY
        await until(lambda: beta.open == 0)
        proxy.silent = False
        await until(lambda: alpha.open == 0)
        assert all(view.leases == 0 for view in door.door.pool.views())


def _behind(proxy: FaultProxy) -> Member:
    return Member("far", f"http://{proxy.host}", 1e9)


async def test_a_launch_lost_on_all_members_is_told_as_one_failed_launch() -> None:
    async with AsyncExitStack() as stack:
        stock = [await stack.enter_async_context(StockMember(name, plays(BUILT, LEAVES))) for name in "abc"]
        door = await stack.enter_async_context(Door(*(member.configured() for member in stock)))
        facts = facts_of(door)
        launched = await door.launch()
        assert launched.last["phase"] == "failed"
        await until(lambda: any(isinstance(fact, LaunchEnded) for fact in facts))
        lost = [fact for fact in facts if isinstance(fact, AttemptEnded)]
        (ended,) = [fact for fact in facts if isinstance(fact, LaunchEnded)]
        assert [(one.outcome, one.cause, one.phase) for one in lost] == [
            (Outcome.LOST, "shutting_down", "built")
        ] * 3
        assert {one.id for one in lost} == {ended.id} and ended.outcome is Outcome.FAILED
        # The next launch is another one, on members of which nothing is known: these count as full for a while.
        door.reconfigure([])
        door.reconfigure([member.configured() for member in stock])
        await until(lambda: all(view.state is State.HEALTHY for view in door.door.pool.views()))
        stock[0].play = stock[1].play = stock[2].play = SUCCESS
        assert (await door.launch()).last == READY
        await until(lambda: sum(isinstance(fact, LaunchEnded) for fact in facts) == 2)
        assert len({fact.id for fact in facts if isinstance(fact, LaunchEnded)}) == 2
