"""One member for all faults, and a registry whose disk a test can fill."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from engine_stage import Engine
from registry_stage import start_registry

from tests.members.docker_faults.faulty_member import FaultyMember, faulty_member
from tests.members.docker_faults.small_jupyter import load_small_jupyter


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def member(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultyMember]:
    load_small_jupyter(engine)
    folder = tmp_path_factory.mktemp("faults")
    data = folder / "registry" / "data"
    data.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", data], check=True)
    registry = start_registry(folder / "registry")
    try:
        async with faulty_member(engine, registry, folder) as member:
            yield member
    finally:
        registry.kill()
        subprocess.run(["umount", "--lazy", data], check=True)
