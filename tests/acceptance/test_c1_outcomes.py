"""C1: members are judged by how launches end on them, and never by a green `/health` alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

import pytest
from acceptance_stage import (
    FIRST,
    HASTY_HEALTH,
    HASTY_LAUNCH,
    HEALTH,
    LAST,
    LAUNCH,
    STUCK_AFTER,
    Hub,
    equal,
    fails_to_pull,
    metric,
    never_pulls,
    not_ready,
    pulls,
    ranked,
    repo,
    three,
    told,
    touched,
)
from door_stage import Door, event, until

from federation.core.facts import Fact, Overdue
from federation.core.model import State

# 4.5 launches a minute, when a launch is stuck after 90 s.
PACE = STUCK_AFTER * (60 / 4.5) / 90


def version(number: int, one_repository: bool) -> str:
    """Another one each time, which no member holds yet."""
    return repo("popular", number) if one_repository else repo(number)


@pytest.mark.parametrize("one_repository", [False, True])
async def test_a_member_whose_pulls_all_hang_is_out_after_three_overdue_launches_and_all_finish_elsewhere(
    one_repository: bool,
) -> None:
    async with three() as hubs:
        hubs[0].pull = never_pulls
        async with Door(
            *ranked(hubs), launch=HASTY_LAUNCH, health=replace(HASTY_HEALTH, eject_base=60)
        ) as door:
            facts: list[Fact] = []
            door.door._listeners.append(facts.append)
            clicks = []
            for number in range(16):
                clicks.append(asyncio.create_task(door.launch(version(number, one_repository))))
                await asyncio.sleep(PACE)
            launched = await asyncio.gather(*clicks)
            assert not_ready(launched) == []
            assert door.state("alpha") is State.EJECTED
            overdue = [fact for fact in facts if isinstance(fact, Overdue)]
            assert {fact.member for fact in overdue} == {"alpha"}
            ejected = next(
                place for place, fact in enumerate(facts) if getattr(fact, "after", "") == "ejected"
            )
            assert sum(isinstance(fact, Overdue) for fact in facts[:ejected]) == 3
            assert touched(launched, "alpha") <= 10
            assert (
                hubs[0].looks and not (await told(door, "alpha"))["signals"]["probe"]["checks"][0]["ignored"]
            )
            await until(lambda: hubs[0].open == 0 and hubs[0].used == 0)


@pytest.mark.parametrize("one_repository", [False, True])
async def test_a_member_whose_pulls_fail_under_a_green_health_is_out_after_three_visitors_and_nobody_sees_it(
    one_repository: bool,
) -> None:
    async with three() as hubs:
        hubs[0].pull = fails_to_pull
        async with Door(*ranked(hubs), launch=LAUNCH, health=replace(HEALTH, eject_base=60)) as door:
            launched = [await door.launch(version(number, one_repository)) for number in range(12)]
            assert not_ready(launched) == []
            assert door.state("alpha") is State.EJECTED
            assert touched(launched, "alpha") <= 3
            assert (await told(door, "alpha"))["reason"].startswith("3 of its last 3 launches failed")
            assert await metric(door, "federation_member_state", member="alpha", state="ejected") == 1


async def test_two_members_and_few_launches_are_enough() -> None:
    async with Hub("alpha") as alpha, Hub("beta") as beta:
        alpha.pull = fails_to_pull
        members = (alpha.configured(FIRST), beta.configured(LAST))
        async with Door(*members, launch=LAUNCH, health=replace(HEALTH, eject_base=60)) as door:
            launched = [await door.launch(repo(number)) for number in range(6)]
            assert not_ready(launched) == [] and touched(launched, "alpha") <= 3
            assert door.state("alpha") is State.EJECTED


@pytest.mark.parametrize(
    "failure",
    [
        event(phase="failed"),
        event(phase="failed", message="pip: no matching distribution found\n"),
        event(phase="failed", status_code=404, message="Could not resolve ref\n"),
    ],
    ids=["bare", "with words", "no such ref"],
)
async def test_a_repository_whose_build_fails_twenty_times_on_one_member_ejects_nobody(
    failure: bytes,
) -> None:
    async with three() as hubs:
        healthy = hubs[0].launch

        async def builds(request, response):  # type: ignore[no-untyped-def]
            if "broken" in request.path:
                await response.write(event(phase="building", message="Step 1\n") + failure)
            else:
                await healthy(request, response)

        hubs[0].play = builds
        async with Door(*ranked(hubs), launch=LAUNCH, health=HEALTH) as door:
            for _ in range(20):
                assert (await door.launch(repo("broken"))).last["phase"] == "failed"
                assert (await door.launch(repo("good"))).last["phase"] == "ready"
            assert len(hubs[0].requests) == 40
            assert [view.state for view in door.door.pool.views()] == [State.HEALTHY] * 3
            assert {view.tally.bad for view in door.door.pool.views()} == {0}


async def test_a_passing_health_never_brings_it_back_and_a_trial_launch_does() -> None:
    async with three() as hubs:
        alpha = hubs[0]
        alpha.pull = fails_to_pull
        async with Door(*ranked(hubs), launch=LAUNCH, health=HEALTH) as door:
            numbers = count()
            while door.state("alpha") is not State.EJECTED:
                assert (await door.launch(repo(next(numbers)))).last["phase"] == "ready"
            seen, looks = set(), alpha.looks
            for _ in range(150):  # five back-offs long, with a green look every 0.2 s
                seen.add(door.state("alpha"))
                await asyncio.sleep(0.01)
            await until(lambda: door.state("alpha") is State.TRIAL)
            assert alpha.looks - looks >= 5 and seen <= {State.EJECTED, State.TRIAL}
            # The trial is a visitor's launch. It fails, and the visitor is ready nevertheless.
            launched = await door.launch(repo(next(numbers)))
            assert launched.takers[0] == "alpha" and launched.last["phase"] == "ready"
            assert door.state("alpha") is State.EJECTED
            alpha.pull = pulls
            await until(lambda: door.state("alpha") is State.TRIAL)
            assert (await door.launch(repo(next(numbers)))).takers == ["alpha"]
            assert door.state("alpha") is State.RECOVERING
            await until(lambda: door.state("alpha") is State.HEALTHY)


async def test_what_fails_everywhere_ejects_nobody() -> None:
    async with three() as hubs:
        for hub in hubs:
            hub.pull = fails_to_pull
        async with Door(*equal(hubs), launch=LAUNCH, health=HEALTH) as door:
            for number in range(8):
                assert (await door.launch(repo(number))).last["phase"] == "failed"
            assert [view.state for view in door.door.pool.views()] == [State.HEALTHY] * 3
