"""One engine for all tests of builds, with a tiny image to build on."""

from __future__ import annotations

from pathlib import Path

from engine_stage import Engine
from pytest import fixture
from repo2docker_workshop import Workshop, load_tiny


@fixture(scope="session")
def tiny(engine: Engine) -> str:
    return load_tiny(engine)


@fixture
def workshop(engine: Engine, tiny: str, tmp_path: Path) -> Workshop:
    return Workshop(engine, tmp_path)
