"""A front door that starts again over real members, with and without the view that it kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from door_stage import Door, StockMember, until

from federation.adapters.clock import SystemClock
from federation.adapters.state_file import StateFile
from federation.core.facts import AttemptEnded, Fact, LoopFailed, Outcome
from federation.core.launchkey import parse_spec
from federation.core.model import State
from federation.core.rules import HealthRules
from federation.service.pool import Pool
from federation.service.view_keeper import ViewKeeper

LAUNCH = parse_spec("gh/binder-examples/requirements/HEAD")
RARE = HealthRules(interval=0.2, rise=1, eject_base=60, eject_max=60)
Pair = tuple[StockMember, StockMember]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with StockMember("alpha") as alpha, StockMember("beta") as beta:
        seats = {"service": "Pod quota", "ok": True, "total_pods": 3, "quota": 9}
        alpha.told = {"ok": True, "checks": [seats]}
        yield alpha, beta


def door(pair: Pair, file: Path | None, **more: Any) -> Door:
    members = (member.configured() for member in pair)
    return Door(*members, health=RARE, view_file=None if file is None else str(file), **more)


def eject_for_launches(started: Door) -> None:
    for id in range(1, 7):
        for member, outcome, cause in (("beta", Outcome.LOST, "launch"), ("alpha", Outcome.READY, "")):
            started.door.pool.listen(AttemptEnded(LAUNCH, id, member, 1, outcome, cause, "", 1.0))
    assert started.state("beta") is State.EJECTED


async def test_what_was_learned_of_members_survives_a_restart(pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "view.json"
    async with door(pair, file) as started:
        eject_for_launches(started)
        before = started.door.pool.view("beta")
    assert before is not None
    kept = json.loads(file.read_text())["members"]
    assert kept["alpha"]["state"] == "healthy"
    assert kept["alpha"]["seats"] == {"used": 3, "quota": 9}
    async with door(pair, file, wait=False) as again:
        await until(lambda: again.state("alpha") is State.HEALTHY)
        await until(lambda: pair[1].looks > 5)
        beta = again.door.pool.view("beta")
        assert beta is not None
        assert (beta.state, beta.since, beta.reason) == (State.EJECTED, before.since, before.reason)
        assert (await again.launch("/build/gh/a/b/c?member=beta")).takers == ["alpha"]


async def test_without_the_file_everything_is_forgotten(pair: Pair) -> None:
    async with door(pair, None) as started:
        eject_for_launches(started)
    async with door(pair, None) as again:
        assert again.state("beta") is State.HEALTHY


async def test_nobody_is_trusted_before_the_first_look(pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "view.json"
    async with door(pair, file):
        pass
    settings = door(pair, file).settings
    fresh = Pool(settings, SystemClock())
    async with ViewKeeper(fresh, StateFile("view file"), lambda: settings, print):
        alpha, beta = fresh.views()
        assert (alpha.state, alpha.fit) == (State.UNKNOWN, False)
        assert alpha.reason == alpha.refusal == "not seen since the start; was healthy before"
        assert alpha.seats is not None
        assert (alpha.seats.used, alpha.capacity) == (3, 9)
        assert beta.versions["binderhub"] == "1.0"


async def test_a_member_that_moved_gets_nothing(pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "view.json"
    async with door(pair, file) as started:
        eject_for_launches(started)
    await pair[1].die()
    pair[1].port = 0
    await pair[1].start()
    async with door(pair, file) as again:
        assert again.state("beta") is State.HEALTHY


@pytest.mark.parametrize("found", [b'{"version": 1, "mem', b"", b'{"version": 99}', b"[]"])
async def test_a_torn_file_is_told_and_replaced(
    pair: Pair, tmp_path: Path, found: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "view.json"
    file.write_bytes(found)
    async with door(pair, file) as started:
        assert started.state("beta") is State.HEALTHY
        assert 'federation_loop_faults_total{where="view file"} 1.0' in await started.text("/metrics")
    assert "it is not used" in " ".join(capsys.readouterr().err.split())
    assert json.loads(file.read_text())["version"] == 1


async def test_a_folder_that_cannot_be_written_is_told_once_and_harms_nothing(pair: Pair) -> None:
    file = Path("/proc/view.json")  # where not even root may write
    facts: list[Fact] = []
    async with door(pair, None) as started:
        pool, settings = started.door.pool, door(pair, file).settings
        async with ViewKeeper(pool, StateFile("view file"), lambda: settings, facts.append, every=0.05):
            await asyncio.sleep(0.5)
            assert (await started.launch()).last["phase"] == "ready"
    assert [type(fact) for fact in facts] == [LoopFailed]


async def test_it_is_written_while_it_runs_but_only_when_there_is_something_new(
    pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "view.json"
    async with door(pair, None) as started:
        pool, settings = started.door.pool, door(pair, file).settings
        async with ViewKeeper(pool, StateFile("view file"), lambda: settings, print, every=0.05):
            await until(file.exists)
            first = file.stat().st_ino, file.stat().st_mtime_ns
            looks = pair[0].looks
            await until(lambda: pair[0].looks > looks + 2)
            assert (file.stat().st_ino, file.stat().st_mtime_ns) == first
            eject_for_launches(started)
            await until(lambda: b'"ejected"' in file.read_bytes())
    assert list(tmp_path.iterdir()) == [file]
