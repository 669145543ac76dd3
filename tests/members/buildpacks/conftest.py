"""A workshop for each test, and nothing left of it on the engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from buildpack_workshop import Workshop
from engine_stage import Engine


@pytest.fixture
def workshop(
    engine: Engine, base_image: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Workshop]:
    folder = tmp_path / "repository"
    folder.mkdir()
    image = f"buildpacks-{abs(hash(request.node.nodeid))}:1"
    yield Workshop(engine, base_image, folder, image)
    subprocess.run(
        ["docker", "rmi", "--force", image], env=engine.environment, capture_output=True, check=False
    )
