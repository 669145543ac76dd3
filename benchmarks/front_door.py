"""What the front door costs: redirects per second against a bare aiohttp server, and relay's delay per event.

Both sides of each ratio are measured in one run, interleaved, on this machine; only the ratios mean anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import uvloop
import yaml

from benchmarks.load import ask

CONNECTIONS, EACH, ROUNDS = 16, 1000, 5
SPEC = "/build/gh/binder-examples/requirements/HEAD"


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
            await asyncio.wait_for(child.wait(), 10)
        except TimeoutError:
            child.kill()
            await child.wait()


async def port_of(child: asyncio.subprocess.Process) -> int:
    assert child.stdout is not None
    return int(await asyncio.wait_for(child.stdout.readline(), 20))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def front_door(folder: Path, mode: str, member: int) -> AsyncIterator[int]:
    """A front door in front of one member, up when the member is healthy to it."""
    config = folder / f"{mode}.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "launch": {"mode": mode},
                "log": {"level": "warning"},
                "members": {"bench": {"url": f"http://127.0.0.1:{member}"}},
            }
        )
    )
    port = free_port()
    async with started("-m", "federation.cli", "serve", "--config", str(config), "--port", str(port)):
        async with aiohttp.ClientSession() as session:
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{port}/health") as answer:
                        if answer.status == 200:
                            break
                if time.monotonic() > deadline:
                    raise TimeoutError("the front door did not become healthy within 20 s")
                await asyncio.sleep(0.1)
        yield port


async def redirects(folder: Path, member: int) -> dict[str, float]:
    async with (
        front_door(folder, "redirect", member) as door,
        started("-m", "benchmarks.servers", "bare") as child,
    ):
        ports = {"front door": door, "bare": await port_of(child)}
        rates: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(ROUNDS):
            for name, port in ports.items():
                load = await ask(port, SPEC, expected=b"HTTP/1.1 307", connections=CONNECTIONS, each=EACH)
                rates[name].append(load.rate)
    return {name: statistics.median(values) for name, values in rates.items()}


async def delays(session: aiohttp.ClientSession, port: int) -> list[float]:
    """Microseconds from the member's write to our read, for each event of one launch."""
    found = []
    async with session.get(
        f"http://127.0.0.1:{port}{SPEC}", headers={"Accept": "text/event-stream"}
    ) as answer:
        async for line in answer.content:
            now = time.monotonic_ns()
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if event["phase"] == "building":
                    found.append((now - int(event["message"])) / 1000)
    return found


async def relay(folder: Path, member: int) -> dict[str, float]:
    async with front_door(folder, "relay", member) as door, aiohttp.ClientSession() as session:
        found: dict[str, list[float]] = {"direct": [], "relayed": []}
        for _ in range(ROUNDS):
            found["direct"] += await delays(session, member)
            found["relayed"] += await delays(session, door)
    return {name: statistics.median(values) for name, values in found.items()}


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        async with started("-m", "benchmarks.servers", "member") as child:
            member = await port_of(child)
            rates = await redirects(Path(name), member)
            events = await relay(Path(name), member)
    print(
        f"redirects: front door {rates['front door']:,.0f}/s, bare web.Server {rates['bare']:,.0f}/s,",
        end=" ",
    )
    print(f"ratio {rates['front door'] / rates['bare']:.2f}")
    added = events["relayed"] - events["direct"]
    print(
        f"relay: an event takes {events['direct']:.0f} µs direct, {events['relayed']:.0f} µs relayed,",
        end=" ",
    )
    print(f"ratio {events['relayed'] / events['direct']:.2f}, added {added:.0f} µs")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    uvloop.run(main())
