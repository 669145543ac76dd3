"""What a new operator does first, by the README, on a whole federation with a Prometheus beside it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from local_federation import Federation, eventually, launch, shut_down

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


class Operator:
    """Somebody at a terminal, with the token of this federation."""

    def __init__(self, federation: Federation, session: aiohttp.ClientSession) -> None:
        self.ready: dict[str, Any] = json.loads((federation.folder / "ready.json").read_text())
        self._url = federation.url
        self._session = session

    async def says(self, *words: str) -> str:
        """What the command prints."""
        known = {"BINDER_FEDERATION_URL": self._url, "BINDER_FEDERATION_TOKEN": self.ready["operator_token"]}
        process = await asyncio.create_subprocess_exec(
            *(Path(sys.executable).with_name("binder-federation"), *words),
            env={**os.environ, **known, "COLUMNS": "160"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()

    async def share(self, member: str) -> float:
        """As the dashboards ask for it."""
        query = {"query": f'federation_member_expected_share{{member="{member}"}}'}
        async with self._session.get(f"{self.ready['prometheus']}/api/v1/query", params=query) as answer:
            (row,) = (await answer.json())["data"]["result"]
        return float(row["value"][1])

    async def told(self, path: str) -> Any:
        async with self._session.get(f"{self._url}/federation/v1/{path}") as answer:
            return await answer.json()


@pytest.fixture
async def operator(federation: Federation, session: aiohttp.ClientSession) -> Operator:
    return Operator(federation, session)


async def test_a_drained_member_gives_its_share_away_and_gets_it_back_by_itself(operator: Operator) -> None:
    async def is_shared() -> bool:
        return 0 < await operator.share("member-a") < 1

    async def is_drained() -> bool:
        return await operator.share("member-a") == 0 and await operator.share("member-b") == 1

    await eventually(is_shared)
    said = await operator.says("drain", "member-a", "--reason", "a new kernel", "--until", "8s")
    assert "member-a" in said
    assert "drained: a new kernel" in await operator.says("members")
    why = await operator.says("explain", "gh/binder-examples/requirements/HEAD", "--member", "member-a")
    assert "not chosen: drained: a new kernel" in why
    await eventually(is_drained)
    await eventually(is_shared, limit=60)
    audit = await operator.says("audit")
    assert "a new kernel" in audit and "ended by itself" in audit


async def test_a_launch_is_explained_and_costs_something(
    operator: Operator, federation: Federation, session: aiohttp.ClientSession
) -> None:
    found = await launch(session, federation.url, federation.repository("costly"))
    name = found.members[0]
    decision = (await operator.told("decisions?limit=1"))["decisions"][0]
    why = await operator.told(f"decisions?id={decision['id']}&member={name}")
    assert f"{name} was chosen" in why["decisions"][0]["asked"]["why"]

    async def is_priced() -> bool:
        costs = {one["name"]: one for one in (await operator.told("costs"))["members"]}
        return costs[name]["launches"] >= 1 and costs[name]["per_launch"] > 0

    await eventually(is_priced)
    assert name in await operator.says("costs")
    assert name in await operator.says("report", "--by", "member")
    await shut_down(session, found.ready)


async def test_a_killed_member_leaves_an_incident_with_a_report(
    operator: Operator, federation: Federation
) -> None:
    killed = time.time()

    async def noticed() -> dict[str, Any] | None:
        """An incident of its own, or one that went on from a test before this one."""
        incidents = (await operator.told("incidents"))["incidents"]
        return next(
            (one for one in incidents if one["member"] == "member-b" and any(map(tells, one["timeline"]))),
            None,
        )

    def tells(note: dict[str, Any]) -> bool:
        return note["at"] >= killed and note["text"].startswith("member-b takes no launches")

    federation.kill("member-b")
    incident = await eventually(noticed)
    report = await operator.says("incidents", incident["id"])
    assert "member-b" in report and "## Timeline" in report
