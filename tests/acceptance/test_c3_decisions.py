"""C3: for any past launch and any member one HTTP query says why it went there, or why not."""

from __future__ import annotations

from dataclasses import replace

from acceptance_stage import HEALTH, LAUNCH, Hub, fails_to_pull, repo, three
from door_stage import Door, until

from federation.core.model import Member, State


async def test_for_any_past_launch_and_any_member_one_query_says_why_not() -> None:
    async with three() as hubs, Hub("full", quota=2) as full:
        hubs[0].pull = fails_to_pull
        full.others = 2
        members = (
            *(hub.configured(weight) for hub, weight in zip(hubs, (1e9, 1.0, 1e-9), strict=True)),
            full.configured(1e12),
            Member("dead", "http://127.0.0.1:1", 1e12),
            Member("away", "http://127.0.0.1:1", 0.0),
        )
        async with Door(*members, launch=LAUNCH, health=replace(HEALTH, eject_base=60)) as door:
            names = [member.name for member in members]
            launches = 6
            for number in range(launches):
                assert (await door.launch(repo(number))).last["phase"] == "ready"
            assert door.state("alpha") is State.EJECTED
            past = (await door.json("/federation/v1/decisions"))["decisions"]
            assert len(past) == launches
            first, last = past[-1]["id"], past[0]["id"]

            async def why(id: int, name: str) -> str:
                told = await door.json(f"/federation/v1/decisions?id={id}&member={name}")
                assert told["decisions"][0]["id"] == id
                return str(told["decisions"][0]["asked"]["why"])

            for launch in past:
                for name in names:
                    assert name in await why(launch["id"], name)
            assert "full was not chosen: full: 2 of 2 seats" in await why(last, "full")
            assert "dead was not chosen: ejected: " in await why(last, "dead")
            assert "away was not chosen: weight 0" in await why(last, "away")
            assert "alpha was chosen" in await why(first, "alpha")
            assert "there it ended as lost: Image image:1" in await why(first, "alpha")
            assert "alpha was not chosen: already tried" in await why(first, "alpha")
            assert "alpha was not chosen: ejected: 3 of its last 3 launches failed" in await why(
                last, "alpha"
            )
            assert "beta was chosen" in await why(last, "beta")
            assert "gamma was not chosen: number 2 of 2 in the order, behind beta" in await why(last, "gamma")


async def test_a_launch_that_nobody_took_says_so_for_each_member() -> None:
    dead = [
        Member(name, "http://127.0.0.1:1", 0.0 if name == "off" else 1.0) for name in ("one", "two", "off")
    ]
    async with Door(*dead[2:], launch=LAUNCH, health=HEALTH) as door:
        assert (await door.launch()).last["phase"] == "failed"
        [past] = (await door.json("/federation/v1/decisions"))["decisions"]
        told = await door.json(f"/federation/v1/decisions?id={past['id']}&member=off")
        assert told["decisions"][0]["asked"]["why"] == "off was not chosen: weight 0."


async def test_what_is_expected_of_each_member_is_shown_beside_what_came() -> None:
    async with three() as hubs:
        weights = (3.0, 2.0, 1.0)
        members = [hub.configured(weight) for hub, weight in zip(hubs, weights, strict=True)]
        async with Door(*members, launch=LAUNCH, health=HEALTH) as door:
            await until(lambda: all(view.state is State.HEALTHY for view in door.door.pool.views()))
            for number in range(60):
                await door.launch(repo(number))
            shares = {
                one["name"]: one["share"] for one in (await door.json("/federation/v1/members"))["members"]
            }
        for name, weight in zip(("alpha", "beta", "gamma"), weights, strict=True):
            assert shares[name]["expected"] == weight / 6
            assert abs(shares[name]["actual"] - weight / 6) < 0.2
