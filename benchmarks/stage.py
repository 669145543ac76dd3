"""Starts the servers of the front door's benchmarks, each in a process of its own, and looks at what they take.

Measures no request. Linux only: what a process takes is read from /proc.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

START_LIMIT, STOP_LIMIT = 20.0, 10.0  # seconds
MEMBERS = 3


@dataclass(frozen=True, slots=True)
class Served:
    """A server on 127.0.0.1."""

    port: int
    pid: int

    def processor(self) -> float:
        """Seconds of processor time that it and its children have taken so far."""
        return sum(map(_processor, [self.pid, *_children(self.pid)]))

    def waited(self) -> float:
        """Seconds in which it was ready to run and had no processor; 0.0 where the kernel does not tell."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9
        except OSError:
            return 0.0

    def memory(self) -> float:
        """The most MB that were ever resident."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024 / 1e6


def _processor(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.asynccontextmanager
async def started(*argv: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child that ends with the block: its standard input closes, then it is terminated, then killed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield child
    finally:
        assert child.stdin is not None
        child.stdin.close()
        if child.returncode is None:
            child.terminate()
        try:
            await asyncio.wait_for(child.wait(), STOP_LIMIT)
        except TimeoutError:
            child.kill()
            await child.wait()


@contextlib.asynccontextmanager
async def server(name: str) -> AsyncIterator[Served]:
    """One of `benchmarks.servers`."""
    async with started("-m", "benchmarks.servers", name) as child:
        assert child.stdout is not None
        yield Served(int(await asyncio.wait_for(child.stdout.readline(), START_LIMIT)), child.pid)


@contextlib.asynccontextmanager
async def front_door(
    folder: Path, mode: str, member: Served, *, workers: int = 1, members: int = MEMBERS
) -> AsyncIterator[Served]:
    """A front door as operators run it, up when its members are healthy to it. They are all the same server."""
    config = folder / f"{mode}.yaml"
    config.write_text(yaml.safe_dump(_configuration(mode, f"http://127.0.0.1:{member.port}", members)))
    port = _free_port()
    serve = ("-m", "federation.cli", "serve", "--config", str(config), "--port", str(port))
    async with started(*serve, "--workers", str(workers)) as child:
        door = Served(port, child.pid)
        async with aiohttp.ClientSession() as session, asyncio.timeout(START_LIMIT):
            while not await _all_well(session, port):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        yield door


async def metrics(door: Served, name: str) -> float:
    """The sum of one of its series, over all labels."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{door.port}/metrics") as answer,
    ):
        text = await answer.text()
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))


def _configuration(mode: str, member: str, members: int) -> dict[str, Any]:
    return {
        "launch": {"mode": mode},
        "log": {"level": "warning"},
        "refs": {
            "resolve": False
        },  # the repositories of these launches are nowhere, and nobody else is to be asked
        "waiting": {"per_visitor": 10_000},  # all visitors of a benchmark have one address
        "members": {f"bench-{number}": {"url": member} for number in range(members)},
    }


async def _all_well(session: aiohttp.ClientSession, port: int) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with session.get(f"http://127.0.0.1:{port}/health") as answer:
            return all(check["ok"] for check in (await answer.json())["checks"])
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
