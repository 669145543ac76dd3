"""What a member's death is measured with: members that can be killed and started again, and a front door.

All are processes of their own on loopback. Run as `python -m benchmarks.failover_stage PORT` it is a member at this
port (0 takes a free one), which prints its port and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import uvloop
import yaml
from aiohttp import web

from benchmarks.stage import START_LIMIT, started

QUOTA = 10_000_000  # seats that no load can fill
LAUNCH_TIME = 0.2  # seconds from a click to `ready`


async def _health(_: web.Request) -> web.Response:
    quota = {"service": "Pod quota", "ok": True, "total_pods": 0, "quota": QUOTA}
    return web.json_response({"ok": True, "checks": [{"service": "JupyterHub API", "ok": True}, quota]})


async def _versions(_: web.Request) -> web.Response:
    return web.json_response({"builder": "r2d", "binderhub": "1"})


async def _build(request: web.Request) -> web.StreamResponse:
    """A launch of an image that is there."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-cache"})
    await response.prepare(request)
    for phase in ("built", "launching"):
        await response.write(_event(phase=phase, message=""))
    await asyncio.sleep(LAUNCH_TIME)
    with contextlib.suppress(ConnectionResetError):  # a front door closes the stream with `ready`
        await response.write(_event(phase="ready", message="", url="http://127.0.0.1/user/x/", token=""))
        await response.write_eof()
    return response


def _event(**fields: str) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


async def _serve(port: int) -> None:
    app = web.Application()
    app.router.add_get("/health", _health)
    app.router.add_get("/versions", _versions)
    app.router.add_get("/build/{tail:.*}", _build)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


class MemberProcess:
    """A member that can be killed and started again at its port. `async with` it."""

    def __init__(self) -> None:
        self.port = 0
        self._child: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> MemberProcess:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Returns when it accepts connections."""
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.failover_stage", str(self.port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._child.stdout is not None
        self.port = int(await asyncio.wait_for(self._child.stdout.readline(), START_LIMIT))

    async def kill(self) -> None:
        """As `kill -9` does."""
        child, self._child = self._child, None
        if child is not None:
            if child.returncode is None:
                child.kill()
            await child.wait()


@contextlib.asynccontextmanager
async def front_door(folder: Path, mode: str, members: dict[str, int]) -> AsyncIterator[str]:
    """The URL of a front door with the rules that it has by itself, once all these members take launches."""
    config = folder / f"{mode}.yaml"
    port = _free_port()
    settings = {
        "launch": {"mode": mode},
        "log": {"level": "error"},
        "waiting": {"per_visitor": 500},  # all visitors have one address here
        "members": {name: {"url": f"http://127.0.0.1:{at}"} for name, at in members.items()},
    }
    config.write_text(yaml.safe_dump(settings))
    async with started("-m", "federation.cli", "serve", "--config", str(config), "--port", str(port)):
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(START_LIMIT):
            while len(await _active(url)) < len(members):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        yield url


async def _active(url: str) -> dict[str, object]:
    """The members that take launches now; none while nobody answers."""
    with contextlib.suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession() as session, session.get(f"{url}/active_hosts") as answer:
            hosts: dict[str, object] = (await answer.json())["active_hosts"]
            return hosts
    return {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
