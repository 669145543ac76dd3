"""Every command in a `sh` block of the guides for operators is run as it stands, against a front door with members."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from door_stage import Door, StockMember
from steering_stage import ANA, OPERATORS

ROOT = Path(__file__).parents[3]
GUIDES = ("sre.md", "steering.md", "alerts.md", "archive.md")
NAMES = ("gesis", "hetzner", "bids")
LINE = '{"timestamp":"2024-01-01T00:00:00+00:00","provider":"GitHub","spec":"a/b/HEAD","status":"success"}\n'


def commands(guide: str) -> list[str]:
    """The blocks that are marked `sh` and nothing more: others are for a terminal that no test has."""
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```sh\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"(?m)^{indent}", "", block) for indent, block in blocks]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with AsyncExitStack() as stack:
        hubs = [await stack.enter_async_context(StockMember(name)) for name in NAMES]
        door = await stack.enter_async_context(
            Door(
                *(hub.configured() for hub in hubs), operators=OPERATORS, state_folder=str(tmp_path / "kept")
            )
        )
        await door.launch()  # so that there is something to report
        yield door


def desk(folder: Path) -> dict[str, str]:
    """Files that the guides name, in this folder; where the commands are found."""
    (folder / "federation.yaml").write_text((ROOT / "config" / "federation.yaml").read_text(encoding="utf-8"))
    (folder / "federation.state" / "archive").mkdir(parents=True)
    for file in (folder, folder / "federation.state" / "archive"):
        (file / "events-2024-01-01.jsonl").write_text(LINE)
    (folder / "dashboards").symlink_to(ROOT / "dashboards")
    return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}


@pytest.mark.parametrize("guide", GUIDES)
async def test_the_commands_of_the_guide_run(guide: str, door: Door, tmp_path: Path) -> None:
    blocks = commands(guide)
    assert blocks
    url = str(door.url).rstrip("/")
    known = {"BINDER_FEDERATION_URL": url, "BINDER_FEDERATION_TOKEN": ANA, "URL": url}
    async with asyncio.timeout(180):
        running = await asyncio.create_subprocess_exec(
            *("bash", "-euxo", "pipefail", "-c", "\n".join(blocks)),
            cwd=tmp_path,
            env={**os.environ, **desk(tmp_path), **known},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()
    if guide == "sre.md":
        assert b"drained: kernel upgrade" in said and b"gh/binder-examples/requirements" in said
