"""`up --prometheus` with a real front door and a real member."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from local_federation import Federation, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# What dashboards/ reads of a member, whoever made it.
OF_A_MEMBER = {
    "binderhub_build_time_seconds",
    "binderhub_github_rate_limit_remaining",
    "binderhub_inprogress_builds",
    "binderhub_inprogress_launches",
    "binderhub_launch_count",
    "binderhub_launch_time_seconds",
    "jupyterhub_event_loop_interval_seconds",
    "process_resident_memory_bytes",
}


async def test_it_reads_front_door_and_members_and_tells_the_front_door_of_them(
    federation: Federation, session: aiohttp.ClientSession
) -> None:
    url = json.loads((federation.folder / "ready.json").read_text())["prometheus"]

    async def asked(path: str) -> Any:
        async with session.get(f"{url}/api/v1/{path}") as answer:
            return (await answer.json())["data"]

    async def read() -> bool:
        rows = (await asked("query?query=up==1"))["result"]
        found = {(row["metric"]["job"], row["metric"].get("member")) for row in rows}
        return found == {
            ("binder-federation", None),
            *(("binder-members", name) for name in federation.members),
        }

    await eventually(read)
    families = {family["metric"].removesuffix("_total") for family in await asked("targets/metadata")}
    assert families >= OF_A_MEMBER and "federation_member_state" in families

    async def told() -> bool:
        async with session.get(f"{federation.url}/federation/v1/members") as answer:
            members = (await answer.json())["members"]
        return all("launching" in member["signals"] for member in members)  # which Prometheus alone tells now

    await eventually(told)
