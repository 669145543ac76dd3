"""C5: the front door tells "a member is down" from "I am blind" and "what they share is down"."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from acceptance_stage import (
    HASTY_HEALTH,
    HASTY_LAUNCH,
    HEALTH,
    LAUNCH,
    Hub,
    LaunchFailed,
    fails_to_pull,
    metric,
    not_ready,
    pulls,
    ranked,
    repo,
    three,
    told,
    touched,
)
from aiohttp import web
from door_stage import Door, event, until
from fault_proxy import FaultProxy

from federation.core.model import Member, MemberView, State
from federation.core.rules import WaitingRules

NO_REGISTRY = event(
    phase="failed", status_code=503, message="The registry of images at http://r.example does not answer\n"
)


class HandClock:
    """The machine's clock, set by hand."""

    ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead


def routing(views: tuple[MemberView, ...]) -> list[tuple[str, State, float, bool]]:
    """What launches are routed by."""
    return [(view.member.name, view.state, view.weight, view.refusal is None) for view in views]


def refuse(proxy: FaultProxy) -> None:
    proxy.cut()


def hang(proxy: FaultProxy) -> None:
    proxy.silent = True


def mend(proxy: FaultProxy) -> None:
    proxy.silent = proxy.refuse = False


@pytest.mark.parametrize("cut", [refuse, hang])
async def test_when_the_way_to_all_members_is_cut_routing_stays_as_it_was_and_says_that_it_is_blind(
    cut: Callable[[FaultProxy], None],
) -> None:
    async with three(30, 18, 6) as hubs:
        members = [hub.configured(hub.quota) for hub in hubs]
        async with Door(*members, launch=replace(HASTY_LAUNCH, stuck_after=0.5), health=HASTY_HEALTH) as door:
            views = door.door.pool.views
            assert await metric(door, "federation_blind") == 0
            assert (await door.json("/federation/v1/members"))["blind_since"] is None
            seen = routing(views())
            for hub in hubs:
                cut(hub.proxy)
            await until(lambda: door.door.pool.blind_since is not None)
            since = (await door.json("/federation/v1/members"))["blind_since"]
            assert abs(since - time.time()) < 20
            assert "the last good view is kept" in await door.text("/status")
            assert await metric(door, "federation_blind") == 1
            assert routing(views()) == seen
            before = [hub.proxy.connections for hub in hubs]
            launched = await door.launch(repo("a"))  # it is tried all the same
            assert len(launched.takers) == 3 and launched.last["phase"] == "failed"
            await asyncio.sleep(2)  # ten looks at each, all in vain
            assert routing(views()) == seen
            assert all(hub.proxy.connections > past for hub, past in zip(hubs, before, strict=True))

            mend(hubs[1].proxy)  # one answers: now it is known who is down
            await until(lambda: door.door.pool.blind_since is None)
            assert await metric(door, "federation_blind") == 0
            assert (await door.json("/federation/v1/members"))["blind_since"] is None
            assert door.state("beta") is State.HEALTHY
            await until(lambda: door.state("alpha") is door.state("gamma") is State.EJECTED)
            assert (await door.launch(repo("b"))).takers == ["beta"]


async def test_launches_that_get_through_while_it_is_blind_are_served_by_the_last_good_view() -> None:
    """Looks go another way than launches here, and only that way is cut."""
    async with three() as hubs:
        members = [
            Member(
                hub.name,
                f"http://127.0.0.1:{hub.port}",
                1.0,
                health_path=f"http://{hub.proxy.host}/health",
                versions_path=f"http://{hub.proxy.host}/versions",
            )
            for hub in hubs
        ]
        async with Door(*members, launch=LAUNCH, health=HEALTH) as door:
            for hub in hubs:
                hub.proxy.cut()
            await until(lambda: door.door.pool.blind_since is not None)
            launched = [await door.launch(repo(number)) for number in range(12)]
            assert not_ready(launched) == []
            assert all(len(one.takers) == 1 for one in launched)
            assert all(hub.requests for hub in hubs)  # spread as ever
            assert door.door.pool.blind_since is not None


async def test_when_the_two_small_members_are_down_the_big_one_takes_all_and_nothing_goes_to_the_dead() -> (
    None
):
    async with three(300, 180, 60) as hubs:
        big, *small = hubs
        members = [hub.configured(hub.quota) for hub in hubs]
        health, waiting = replace(HEALTH, eject_base=60), WaitingRules(per_visitor=60)
        async with Door(*members, launch=LAUNCH, health=health, waiting=waiting) as door:
            for hub in small:
                await hub.die()
                hub.proxy.cut()
            await until(lambda: door.state("beta") is door.state("gamma") is State.EJECTED)
            looks = [hub.proxy.connections for hub in small]
            launched = await asyncio.gather(*(door.launch(repo(number)) for number in range(60)))
            assert not_ready(launched) == []
            assert all(one.takers == ["alpha"] for one in launched)
            assert len(big.requests) == 60
            # What still comes to them are looks: two questions each.
            most = 2 * (1 + 5 / HEALTH.interval)
            assert all(hub.proxy.connections - past < most for hub, past in zip(small, looks, strict=True))


async def test_a_registry_that_is_down_for_all_ejects_nobody() -> None:
    async def no_registry(request: web.Request, response: web.StreamResponse) -> None:
        raise LaunchFailed(NO_REGISTRY)

    async with three() as hubs:
        for hub in hubs:
            hub.pull = no_registry
        async with Door(*ranked(hubs), launch=LAUNCH, health=HEALTH) as door:
            for number in range(10):
                launched = await door.launch(repo(number))
                assert launched.last["phase"] == "failed" and "registry" in launched.last["message"]
            assert [view.state for view in door.door.pool.views()] == [State.HEALTHY] * 3
            for hub in hubs:
                hub.pull = pulls
            assert (await door.launch(repo("after"))).takers == ["alpha"]


async def test_a_registry_that_is_down_for_one_member_alone_ejects_that_one() -> None:
    async def no_registry(request: web.Request, response: web.StreamResponse) -> None:
        raise LaunchFailed(NO_REGISTRY)

    async with three() as hubs:
        hubs[0].pull = no_registry
        async with Door(*ranked(hubs), launch=LAUNCH, health=replace(HEALTH, eject_base=60)) as door:
            launched = [await door.launch(repo(number)) for number in range(8)]
            assert not_ready(launched) == [] and touched(launched, "alpha") == 3
            assert door.state("alpha") is State.EJECTED


async def test_wrong_versions_are_told_by_most_of_three_after_a_grace_and_only_degrade() -> None:
    async with three() as hubs:
        alpha = hubs[0]
        async with Door(*ranked(hubs), launch=LAUNCH, health=replace(HEALTH, version_grace=1.5)) as door:
            alpha.versions = b'{"binderhub": "0.9", "builder": "r2d"}'
            await until(lambda: door.door.pool.views()[0].versions["binderhub"] == "0.9")
            assert door.state("alpha") is State.HEALTHY  # within the grace
            assert (await door.launch(repo("a"))).takers == ["alpha"]
            await until(lambda: door.state("alpha") is State.DEGRADED)
            assert (await told(door, "alpha"))["reason"] == "runs binderhub 0.9, most members run 1.0"
            assert (await door.launch(repo("b"))).takers == ["beta"]  # the others come first
            hubs[1].others = hubs[2].others = 100
            await until(lambda: all(view.refusal for view in door.door.pool.views()[1:]))
            assert (await door.launch(repo("c"))).takers == ["alpha"]  # it still serves
            alpha.versions = hubs[1].versions
            await until(lambda: door.state("alpha") is State.HEALTHY)


async def test_two_members_that_differ_have_no_quorum() -> None:
    async with Hub("alpha") as alpha, Hub("beta") as beta:
        alpha.versions = b'{"binderhub": "0.9", "builder": "r2d"}'
        health = replace(HEALTH, version_grace=0.1)
        async with Door(alpha.configured(), beta.configured(), launch=LAUNCH, health=health) as door:
            await asyncio.sleep(1.5)  # more than the grace and a tick
            assert door.state("alpha") is door.state("beta") is State.HEALTHY


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_a_clock_that_jumps_by_an_hour_and_back_ejects_nobody_and_makes_no_age_negative(
    jump: float,
) -> None:
    clock = HandClock()
    async with three() as hubs:
        hubs[2].pull = fails_to_pull
        members = [hub.configured(weight) for hub, weight in zip(hubs, (1.0, 1e-9, 1e9), strict=True)]
        health = replace(HEALTH, eject_base=1.0)
        async with Door(*members, launch=LAUNCH, health=health, clock=clock) as door:
            for number in range(4):
                await door.launch(repo(number))
            assert door.state("gamma") is State.EJECTED

            async def sane() -> None:
                await asyncio.sleep(1.2)  # a tick and some looks
                assert door.state("alpha") is door.state("beta") is State.HEALTHY
                assert door.door.pool.blind_since is None
                for one in (await door.json("/federation/v1/members"))["members"]:
                    assert all(
                        signal["age"] is None or signal["age"] >= 0 for signal in one["signals"].values()
                    )
                    assert one["leases"] >= 0 and (one["free"] is None or 0 <= one["free"] <= one["seats"])
                assert "-" not in "".join(
                    line.rsplit(" ", 1)[1]
                    for line in (await door.text("/metrics")).splitlines()
                    if line.startswith(("federation_member_signal_age", "federation_member_leases"))
                ).replace("e-", "")
                assert not_ready([await door.launch(repo(f"jump-{len(hubs[0].requests)}"))]) == []

            for ahead in (jump, 0.0):
                clock.ahead = ahead
                await sane()
            # The back-off is neither lost nor does it last for an hour: the trial comes, and the member returns.
            hubs[2].pull = pulls
            await until(lambda: door.state("gamma") is State.TRIAL, 5)
            number = len(hubs[2].requests)
            assert (await door.launch(repo(f"back-{number}"))).takers == ["gamma"]
            await until(lambda: door.state("gamma") is State.HEALTHY, 5)
            await until(lambda: all(view.leases == 0 for view in door.door.pool.views()[:2]), 40)
