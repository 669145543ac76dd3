"""The commands of docs/api.md do what they are there for, on a front door with real members."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from door_stage import Door, StockMember

from federation.core.rules import Operator, Role
from federation.web.identity import digest

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ANN = Operator("ann", Role.OPERATOR, (digest("secret"),))


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: str(block.split("\n")[0][-40:]))
async def test_the_commands_of_the_page_run(
    members: tuple[StockMember, StockMember], block: str, tmp_path: Path
) -> None:
    alpha, beta = members
    errors = tmp_path / "errors"
    async with Door(alpha.configured(), beta.configured(), operators=(ANN,)) as door:
        with errors.open("wb") as file:  # and no pipe, which what runs on in the background would keep open
            running = await asyncio.create_subprocess_exec(
                *("bash", "-euo", "pipefail", "-c", block),
                env={**os.environ, "FRONT_DOOR": str(door.url).rstrip("/"), "TOKEN": "secret"},
                stdout=asyncio.subprocess.PIPE,
                stderr=file,
            )
        async with asyncio.timeout(60):
            said, _ = await running.communicate()
    assert running.returncode == 0, errors.read_text()
    assert b"event: members\ndata: {" in said if "events" in block else said.startswith(b"{")
