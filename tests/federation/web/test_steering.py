"""Operators steer a real front door: what they set is in force at once, kept, told, and never lost."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from door_stage import READY, SOON, SPEC, Door, StockMember, event, plays, until
from steering_stage import ANA, AUDIT, BEN, MEMBERS, OPERATORS, VERA, entries, send, steer

from federation.adapters import audit_file
from federation.core.model import State
from federation.service.steering import ENDED

Pair = tuple[StockMember, StockMember]


class Clock:
    """The machine's time is another one in each test."""

    time = 1_000_000.0

    def now(self) -> float:
        return self.time


def stand(members: Pair, **more: Any) -> Door:
    alpha, beta = members
    return Door(alpha.configured(3.0), beta.configured(1.0), operators=OPERATORS, **more)


async def shown(door: Door, name: str, token: str = VERA) -> dict[str, Any]:
    return dict((await send(door, "GET", f"{MEMBERS}/{name}", token=token)).told)


async def test_a_drained_member_gets_no_launch_and_comes_back(members: Pair) -> None:
    slow = replace(SOON, interval=60)  # it is looked at again when it is undrained, or in a minute
    async with stand(members, health=slow) as door:
        told = await steer(door, "alpha", state="drained", reason="disk full", by="Ana Lopez")
        assert told.status == 200
        assert told.told["state"] == "drained" and told.told["reason"] == "drained: disk full"
        assert (told.told["weight"], told.told["configured_weight"], told.told["effective_weight"]) == (
            3,
            3,
            0,
        )
        assert told.told["share"]["expected"] == 0
        for number in range(5):
            assert (await door.launch(f"/build/gh/u/repo-{number}/HEAD")).takers == ["beta"]
        wish = await door.launch(f"{SPEC}?member=alpha")
        assert wish.takers == ["beta"]

        back = await steer(door, "alpha", state="active", reason="disk is new")
        assert back.told["override"] is None
        await until(lambda: door.state("alpha") is State.HEALTHY)
        assert (await door.launch(f"{SPEC}?member=alpha")).takers == ["alpha"]
        view = door.door.pool.view("alpha")
        assert view is not None and view.weight == 3.0  # whole at once: it was not ill

        last, first = await entries(door)
        assert (first["who"], first["by"], first["member"]) == ("ana", "Ana Lopez", "alpha")
        assert first["before"] is None and first["after"]["drained"]["reason"] == "disk full"
        assert last["before"] == first["after"] and last["after"] is None
        assert (last["by"], last["reason"], last["id"]) == ("", "disk is new", first["id"] + 1)


async def test_a_drain_lets_go_on_what_runs(members: Pair) -> None:
    go_on, alpha = asyncio.Event(), members[0]

    async def slow(request: Any, response: Any) -> None:
        await plays(event(phase="building"))(request, response)
        await go_on.wait()
        await response.write(event(**READY))

    alpha.play = slow
    async with stand(members) as door:
        launch = asyncio.create_task(door.launch(f"{SPEC}?member=alpha"))
        await until(lambda: alpha.open)
        await steer(door, "alpha", state="drained")
        go_on.set()
        told = await launch
        assert told.takers == ["alpha"] and told.last["phase"] == "ready"


async def test_a_launch_that_waits_for_a_drained_member_goes_elsewhere(members: Pair) -> None:
    full = {"ok": True, "checks": [{"service": "Pod quota", "ok": True, "quota": 1, "total_pods": 1}]}
    alpha, beta = members
    alpha.told = beta.told = full
    async with stand(members) as door:
        await until(lambda: all(view.free == 0 for view in door.door.pool.views()))
        launch = asyncio.create_task(door.launch(f"{SPEC}?member=alpha"))
        await until(lambda: door.door.room.waiting)
        await steer(door, "alpha", state="drained")
        beta.told = {
            "ok": True,
            "checks": [{"service": "Pod quota", "ok": True, "quota": 9, "total_pods": 0}],
        }
        told = await launch
        assert told.takers == ["beta"] and told.last["phase"] == "ready"


async def test_a_weight_is_in_force_at_once_and_goes_back_to_the_configuration(members: Pair) -> None:
    async with stand(members) as door:
        told = await steer(door, "alpha", weight=1, reason="new hardware")
        assert (told.told["weight"], told.told["configured_weight"]) == (1, 3)
        assert told.told["share"]["expected"] == 0.5
        assert told.told["override"]["weight"] == {
            "value": 1,
            "by": "ana",
            "reason": "new hardware",
            "at": told.told["override"]["weight"]["at"],
            "until": None,
        }
        told = await steer(door, "alpha", weight=0)
        assert told.told["state"] == "drained" and told.told["reason"] == "weight 0"
        told = await steer(door, "alpha", weight=None)
        assert (told.told["weight"], told.told["override"]) == (3, None)
        await until(lambda: door.state("alpha") is State.HEALTHY)


async def test_the_second_of_two_operators_gets_a_conflict_and_nothing_is_lost(members: Pair) -> None:
    async with stand(members) as door:
        read = (await send(door, "GET", f"{MEMBERS}/alpha")).tag
        first, second = await asyncio.gather(
            steer(door, "alpha", ANA, read, weight=5),
            steer(door, "alpha", BEN, read, weight=7, state="drained"),
        )
        assert sorted((first.status, second.status)) == [200, 412]
        won, lost = (first, second) if first.status == 200 else (second, first)
        assert "changed this member meanwhile" in lost.told["message"]
        assert lost.tag == won.tag != read  # what to go on from
        assert len(await entries(door)) == 1
        again = await steer(door, "alpha", BEN, lost.tag, weight=9)
        assert (again.status, again.told["weight"]) == (200, 9)
        assert (await send(door, "GET", f"{MEMBERS}/alpha")).tag == again.tag
        other = await send(door, "GET", f"{MEMBERS}/beta")
        assert (await steer(door, "beta", BEN, other.tag, weight=2)).status == 200


async def test_the_tag_is_of_what_is_set_and_not_of_health(members: Pair) -> None:
    async with stand(members) as door:
        before = (await send(door, "GET", f"{MEMBERS}/alpha")).tag
        await members[0].die()
        await until(lambda: door.state("alpha") is State.EJECTED)
        assert (await send(door, "GET", f"{MEMBERS}/alpha")).tag == before
        door.reconfigure([members[0].configured(4.0), members[1].configured()])
        after = await send(door, "GET", f"{MEMBERS}/alpha", token=ANA)
        assert after.tag != before
        assert (await steer(door, "alpha", ANA, before, weight=5)).status == 412
        assert (await steer(door, "alpha", ANA, f'"other", {after.tag}', weight=5)).status == 200


async def test_what_is_set_survives_restarts_and_reloads(members: Pair, tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    async with stand(members, state_folder=folder) as door:
        await steer(door, "alpha", state="drained", reason="disk")
        await steer(door, "beta", weight=4)
    async with stand(members, state_folder=folder) as door:
        assert (await door.launch(f"{SPEC}?member=alpha")).takers == ["beta"]
        assert (await shown(door, "beta"))["weight"] == 4
        door.reconfigure([members[1].configured(2.0)])  # alpha leaves the configuration
        assert (await shown(door, "beta"))["weight"] == 4
        assert (await steer(door, "alpha", weight=1)).status == 404
        door.reconfigure([members[0].configured(3.0), members[1].configured(2.0)])
        assert (await shown(door, "alpha"))["reason"] == "drained: disk"
        assert [one["id"] for one in await entries(door)] == [2, 1]


async def test_what_is_set_ends_by_itself(members: Pair, tmp_path: Path) -> None:
    clock, folder = Clock(), str(tmp_path / "state")
    async with stand(members, clock=clock, state_folder=folder) as door:
        tag = (await steer(door, "alpha", state="drained", weight=8, until=clock.time + 600)).tag
        await steer(door, "beta", weight=5, until=clock.time + 3600)
        clock.time += 599
        assert (await shown(door, "alpha"))["state"] == "drained"
        clock.time += 1
        assert (await send(door, "GET", f"{MEMBERS}/alpha")).tag != tag
        await until(lambda: door.state("alpha") is State.HEALTHY)
        assert (await shown(door, "alpha"))["weight"] == 3
        async with asyncio.timeout(10):
            while len(told := await entries(door)) < 3:
                await asyncio.sleep(0.05)
        assert (told[0]["who"], told[0]["by"], told[0]["reason"]) == ("", "", ENDED)
        assert told[0]["before"]["weight"]["value"] == 8 and told[0]["after"] is None
    clock.time += 3600  # and while nobody looks
    async with stand(members, clock=clock, state_folder=folder) as door:
        assert (await shown(door, "beta"))["weight"] == 1
        async with asyncio.timeout(10):
            while len(told := await entries(door)) < 4:
                await asyncio.sleep(0.05)
        assert (told[0]["member"], told[0]["reason"]) == ("beta", ENDED)


@pytest.mark.parametrize("broken", ["audit.jsonl", "overrides.json.part"])
async def test_a_store_that_takes_nothing_changes_nothing(members: Pair, tmp_path: Path, broken: str) -> None:
    """A folder in the file's place stands for a disk that is full or read-only: tests may run as root, whom no mode
    keeps out."""
    async with stand(members, state_folder=str(tmp_path)) as door:
        before = await shown(door, "alpha")
        (tmp_path / broken).mkdir()
        told = await steer(door, "alpha", weight=5, state="drained")
        assert told.status == 503 and "nothing is changed" in told.told["message"]
        after = await shown(door, "alpha")
        assert (after["weight"], after["state"], after["override"]) == (3, "healthy", None)
        assert before["since"] == after["since"]
        (tmp_path / broken).rmdir()
        assert await entries(door) == []
        assert (await steer(door, "alpha", weight=5)).told["weight"] == 5
        assert [one["id"] for one in await entries(door)] == [1]


async def test_an_operator_who_leaves_leaves_no_half(
    members: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks while the disk is at work: the change is made, in the store and in force."""
    async with stand(members, state_folder=str(tmp_path)) as door:
        loop, begun, real = asyncio.get_running_loop(), asyncio.Event(), os.fsync
        go_on = threading.Event()

        def slow(file: int) -> None:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(20)
            real(file)

        monkeypatch.setattr(audit_file.os, "fsync", slow)
        asking = asyncio.create_task(steer(door, "alpha", weight=5))
        await begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        go_on.set()
        await until(lambda: door.door.steering.override("alpha").weight == 5)
        assert (await shown(door, "alpha"))["weight"] == 5
        assert len(await entries(door)) == 1


async def test_who_may_do_what(members: Pair) -> None:
    async with stand(members) as door:
        for token, status in (("", 401), ("wrong", 401), (VERA, 403)):
            told = await steer(door, "alpha", token, weight=5)
            assert (told.status, told.told["status"]) == (status, status)
            assert "Access-Control-Allow-Origin" not in told.headers
        assert (await send(door, "GET", AUDIT)).status == 401
        assert (await send(door, "GET", AUDIT, token="wrong")).status == 401
        assert await entries(door) == []
        assert (await shown(door, "alpha"))["override"] is None


async def test_names_of_operators_are_for_operators(members: Pair) -> None:
    async with stand(members) as door:
        await steer(door, "alpha", state="drained", weight=2, reason="disk", by="Ana Lopez")
        for path in (MEMBERS, f"{MEMBERS}/alpha"):
            public, named = await send(door, "GET", path), await send(door, "GET", path, token=VERA)
            assert "Ana" not in json.dumps(public.told) and '"ana"' not in json.dumps(public.told)
            assert "Ana Lopez" in json.dumps(named.told)
            assert "disk" in json.dumps(public.told)
            assert public.headers["Vary"] == named.headers["Vary"] == "Authorization, Cookie"
            assert named.headers["Cache-Control"] == "no-store"
        for path in ("/status", "/metrics", "/health"):
            assert "Ana Lopez" not in await door.text(path)


async def test_other_sites_pages_do_not_steer(members: Pair) -> None:
    async with stand(members) as door:
        path = f"{MEMBERS}/alpha"
        asked = await send(
            door, "OPTIONS", path, Origin="https://evil.example", Access_Control_Request_Method="PATCH"
        )
        assert "PATCH" not in asked.headers["Access-Control-Allow-Methods"]
        for token in (ANA, ""):
            told = await send(
                door,
                "PATCH",
                path,
                token=token,
                body={"weight": 1},
                If_Match="*",
                Origin="https://evil.example",
            )
            assert not [name for name in told.headers if name.startswith("Access-Control")]
        assert (await send(door, "GET", path)).headers["Access-Control-Allow-Origin"] == "*"
        for method in ("GET", "HEAD", "OPTIONS"):
            told = await send(door, method, AUDIT, token=VERA)
            assert told.status == (204 if method == "OPTIONS" else 200)
            assert not [name for name in told.headers if name.startswith("Access-Control")]
        assert (await send(door, "HEAD", path)).tag
        assert (await send(door, "POST", path, token=ANA)).status == 405
        assert (await send(door, "DELETE", AUDIT, token=ANA)).status == 405


LONG = "x" * 501
BAD: list[tuple[Any, str]] = [
    ({}, "body"),
    ([], "body"),
    ({"reason": "why"}, "body"),
    ({"wieght": 3}, "wieght"),
    ({"weight": -1}, "weight"),
    ({"weight": "3"}, "weight"),
    ({"weight": True}, "weight"),
    ({"weight": 1e10}, "weight"),
    ({"state": "ejected"}, "state"),
    ({"state": None}, "state"),
    ({"state": ["drained"]}, "state"),
    ({"weight": 1, "reason": LONG}, "reason"),
    ({"weight": 1, "reason": "two\nlines"}, "reason"),
    ({"weight": 1, "reason": 3}, "reason"),
    ({"weight": 1, "by": LONG}, "by"),
    ({"weight": 1, "by": None}, "by"),
    ({"weight": 1, "until": 1}, "until"),
    ({"weight": 1, "until": "10m"}, "until"),
    ({"weight": 1, "until": 1e12}, "until"),
    ({"weight": 1, "until": True}, "until"),
    ({"state": "active", "until": 4_000_000_000}, "until"),
]


async def test_a_bad_body_is_refused_with_its_key(members: Pair) -> None:
    async with stand(members) as door:
        for body, key in BAD:
            told = await send(door, "PATCH", f"{MEMBERS}/alpha", token=ANA, body=body, If_Match="*")
            assert (told.status, told.told["key"]) == (400, key), body
            assert {"status", "message", "value", "expected"} < told.told.keys()
        for raw in (b"", b"{", b"\xff", b'{"weight": 1e999}', b'{"weight": NaN}'):
            told = await send(door, "PATCH", f"{MEMBERS}/alpha", token=ANA, raw=raw, If_Match="*")
            assert told.status == 400, raw
        far = await steer(door, "alpha", weight=1, until=door.door.clock.now() + 367 * 86400)
        assert far.status == 400
        nobody = await steer(door, "nobody", weight=1)
        assert (nobody.status, nobody.told["expected"]) == (404, "one of alpha, beta")
        assert (await send(door, "GET", f"{MEMBERS}/nobody")).status == 404
        without = await send(door, "PATCH", f"{MEMBERS}/alpha", token=ANA, body={"weight": 1})
        assert without.status == 428 and "If-Match" in without.told["message"]
        for tag in ('"stale"', "W/*", 'W/"x"', "bare"):
            assert (await steer(door, "alpha", tag=tag, weight=1)).status == 412, tag
        for query, key in (
            ("?limit=0", "limit"),
            ("?limit=201", "limit"),
            ("?before=x", "before"),
            ("?a=1", "a"),
        ):
            told = await send(door, "GET", f"{AUDIT}{query}", token=VERA)
            assert (told.status, told.told["key"]) == (400, key)
        assert await entries(door) == []


async def test_what_changes_nothing_is_no_change(members: Pair) -> None:
    async with stand(members) as door:
        before = await send(door, "GET", f"{MEMBERS}/alpha")
        told = await steer(door, "alpha", weight=None, state="active", reason="nothing")
        assert (told.status, told.tag) == (200, before.tag)
        assert await entries(door) == []


async def test_the_audit_comes_in_pages(members: Pair, tmp_path: Path) -> None:
    async with stand(members, state_folder=str(tmp_path)) as door:
        for weight in range(1, 6):
            await steer(door, "alpha", weight=weight)
        page = (await send(door, "GET", f"{AUDIT}?limit=2", token=VERA)).told
        assert ([one["id"] for one in page["entries"]], page["next"]) == ([5, 4], 4)
        page = (await send(door, "GET", f"{AUDIT}?limit=3&before=4", token=VERA)).told
        assert ([one["id"] for one in page["entries"]], page["next"]) == ([3, 2, 1], None)
        assert page["entries"][0]["after"]["weight"]["value"] == 3
