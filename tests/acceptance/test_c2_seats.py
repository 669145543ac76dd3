"""C2: launches are sent by seats: what members tell, what refusals teach, and what is under way already."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from acceptance_stage import (
    HEALTH,
    LAUNCH,
    Hub,
    Visitors,
    equal,
    metric,
    not_ready,
    ranked,
    repo,
    three,
    told,
    visitors,
)
from door_stage import Door, until

from federation.core.rules import WaitingRules

KEEPS = 30.0  # seconds: no visitor of a busy machine comes too late for a session


async def come_slowly(clicks: Visitors, number: int, pause: float, first: int = 0) -> None:
    """Each a while after the one before, whether that is ready or not."""
    async with asyncio.TaskGroup() as coming:
        for each in range(first, first + number):
            coming.create_task(clicks.come(repo(each)))
            await asyncio.sleep(pause)


async def test_refusals_stop_after_three_when_a_member_told_thirty_and_takes_eleven() -> None:
    async with three(30, 30, 30, keeps=KEEPS) as hubs:
        alpha = hubs[0]
        alpha.takes = 11
        async with Door(*ranked(hubs), launch=LAUNCH, health=HEALTH) as door, visitors(door) as clicks:
            await come_slowly(clicks, 45, 0.03)
            assert not_ready(clicks.launched) == []
            assert alpha.used == 11 and 1 <= alpha.refusals <= 3
            learned = (await told(door, "alpha"))["seats"]
            assert (
                10 <= learned <= 11
            )  # one launch that was refused may still be counted as one that holds a seat
            assert await metric(door, "federation_member_capacity", member="alpha") == learned
            before = alpha.refusals
            await asyncio.sleep(2.5 * HEALTH.interval)  # looks that tell 30 again teach nothing new
            await come_slowly(clicks, 20, 0.01, first=45)
            assert not_ready(clicks.launched) == [] and alpha.refusals == before


async def test_a_burst_on_one_repository_at_seventy_percent_load_is_not_refused() -> None:
    """Production's seats by four; the members tell how full they are ten times more slowly than launches come."""
    seats = (75, 45, 15)
    async with three(*seats, stale=0.6, keeps=KEEPS) as hubs:
        for hub in hubs:
            hub.others = round(0.7 * hub.quota)
        free = sum(hub.quota - hub.others for hub in hubs)
        health = replace(HEALTH, interval=0.3)
        members = [hub.configured(hub.quota) for hub in hubs]
        async with Door(*members, launch=LAUNCH, health=health) as door, visitors(door) as clicks:
            async with asyncio.TaskGroup() as coming:
                for number in range(free - 3):
                    coming.create_task(clicks.come(repo("popular", number % 3)))
                    await asyncio.sleep(0.02)
            assert not_ready(clicks.launched) == []
            assert sum(hub.refusals for hub in hubs) == 0
            assert all(hub.used <= hub.quota for hub in hubs)


async def test_many_who_click_at_once_for_the_last_seats_all_get_one_or_wait_for_one() -> None:
    async with three(6, 5, 4, keeps=KEEPS) as hubs:
        for hub in hubs:
            hub.others = hub.quota - 1
        rules = WaitingRules(timeout=15, per_visitor=20)
        async with (
            Door(*equal(hubs), launch=LAUNCH, health=HEALTH, waiting=rules) as door,
            visitors(door) as clicks,
        ):
            coming = [asyncio.create_task(clicks.come(repo(number))) for number in range(8)]
            await until(lambda: len(clicks.launched) == 3 and door.door.room.waiting == 5)
            assert [hub.used for hub in hubs] == [hub.quota for hub in hubs]
            assert await metric(door, "federation_waiting_launches") == 5
            await until(lambda: all(view.leases == 0 for view in door.door.pool.views()))
            for hub in hubs:
                hub.others -= 3
            await asyncio.gather(*coming)
            assert not_ready(clicks.launched) == []
            assert sum(hub.refusals for hub in hubs) == 0
            places = [
                [event["position"] for event in one.events if "position" in event] for one in clicks.launched
            ]
            assert sorted(place[0] for place in places if place) == [1, 2, 3, 4, 5]


async def test_a_seat_that_somebody_else_took_in_between_is_found_elsewhere() -> None:
    async with Hub("alpha", quota=5, stale=60) as alpha, Hub("beta", quota=50) as beta:
        alpha.others = 4
        members = (alpha.configured(1e9), beta.configured(1e-9))
        async with Door(*members, launch=LAUNCH, health=HEALTH) as door, visitors(door) as clicks:
            alpha.others = 5  # one came to the member itself, and its numbers do not show it yet
            launched = await clicks.come(repo("a"))
            assert launched.takers == ["alpha", "beta"] and launched.last["phase"] == "ready"
            for number in range(5):
                assert (await clicks.come(repo(number))).takers == ["beta"]
            assert alpha.refusals == 1


async def test_a_crowd_for_one_repository_waits_for_seats_and_never_reads_that_it_should_try_again() -> None:
    """All of them first join the member that may be building, which has one seat, and are refused there."""
    async with three(5, 4, 3, keeps=KEEPS) as hubs:
        for hub in hubs:
            hub.others = hub.quota - 1
        async with (
            Door(*equal(hubs), launch=LAUNCH, health=HEALTH, waiting=WaitingRules(timeout=15)) as door,
            visitors(door) as clicks,
        ):
            coming = [asyncio.create_task(clicks.come(repo("popular"))) for _ in range(8)]
            await until(lambda: len(clicks.launched) == 3 and door.door.room.waiting == 5)
            for hub in hubs:
                hub.others = 0
            await asyncio.gather(*coming)
            assert not_ready(clicks.launched) == []
            assert all(hub.used <= hub.quota for hub in hubs)
