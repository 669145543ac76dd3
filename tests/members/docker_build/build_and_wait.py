"""A process that builds one repository, to be killed: HOST CONFIG FOLDER URL REF."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path

from members.adapters.docker_build import BuildLimits, DockerBuilder, GitAccess
from members.core.model import Resolved


async def main(host: str, config: str, folder: str, url: str, ref: str) -> None:
    builder = DockerBuilder(
        docker_host=host,
        docker_config=Path(config),
        state_dir=Path(folder, "state"),
        push=False,
        limits=BuildLimits(240, 10**7, 10**9, 1 << 30, 300, 2),
        git=GitAccess(("file",), (Path(folder, "repositories"),)),
        tell=lambda fact: None,
    )
    builder.prepare()
    source = Resolved("git", "x", url, ref, url, "x", url)
    async with aclosing(builder.build(source, "killed/build:1")) as lines:
        async for _ in lines:
            pass


asyncio.run(main(*sys.argv[1:]))
