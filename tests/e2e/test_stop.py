"""The end of `up`: asked for or violent, with a notebook running and a build under way, nothing is left."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest
from local_federation import Federation, eventually, launch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state folder for both ends: the second start finds what the first left."""
    return tmp_path_factory.mktemp("stopped")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 0)])
async def test_nothing_is_left_running(
    folder: Path, session: aiohttp.ClientSession, number: signal.Signals, code: int
) -> None:
    federation = Federation(folder)
    (folder / "ready.json").unlink(missing_ok=True)
    await asyncio.to_thread(federation.start)
    try:
        started = await launch(session, federation.url, federation.example("notebook"))
        assert started.ready
        spec = federation.repository(f"endless-{number}", postBuild="#!/bin/sh\necho half-way; sleep 600\n")
        building = asyncio.create_task(launch(session, federation.url, spec))

        async def half_way() -> bool:
            assert not building.done(), building.result().events[-3:]
            return any("sleep 600" in process for process in federation.descendants())

        await eventually(half_way)
        assert len(federation.descendants()) > 12  # hubs, proxies, a notebook, a build, their sandboxes
        assert await asyncio.to_thread(federation.end, number) == code
        building.cancel()
        await asyncio.gather(building, return_exceptions=True)
        if number == signal.SIGTERM:
            assert federation.leftovers() == []
        else:
            await eventually(lambda: asyncio.to_thread(lambda: federation.leftovers() == []), limit=20)
    finally:
        federation.clean_up()
