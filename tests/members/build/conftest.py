"""One machine for all tests of real builds: its base image is made once."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from workshop import ISOLATIONS, SAFEST, Member, wheel


@pytest.fixture(scope="session")
def machine() -> Iterator[Path]:
    """A machine whose members share store and cache; the base image is made once.

    In memory where there is plenty: these tests write and remove hundreds of thousands of files.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 8 << 30
    with tempfile.TemporaryDirectory(prefix="binder-builds-", dir=memory if roomy else None) as folder:
        yield _warm(Path(folder))


def _warm(root: Path) -> Path:

    async def warm() -> None:
        async for _ in Member(root, "one", SAFEST).builder().warm():
            pass

    asyncio.run(warm())
    wheels = root / "wheels"
    wheel(wheels, "tinyone", "1.0")
    wheel(wheels, "tinyone", "2.0")
    wheel(wheels, "tinytwo", "1.0", requires="tinyone<2")
    return root


@pytest.fixture(params=ISOLATIONS)
def one(request: pytest.FixtureRequest, machine: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Member]:
    """The building member; every test ends with nothing left of its builds."""
    monkeypatch.setenv("UV_FIND_LINKS", str(machine / "wheels"))
    member = Member(machine, "one", request.param)
    yield member
    assert member.left_over() == []


@pytest.fixture
def safe(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Member]:
    """The building member with the best isolation there is."""
    monkeypatch.setenv("UV_FIND_LINKS", str(machine / "wheels"))
    member = Member(machine, "one", SAFEST)
    yield member
    assert member.left_over() == []


@pytest.fixture
def image(request: pytest.FixtureRequest) -> str:
    return f"test-{abs(hash(request.node.name))}:1"
