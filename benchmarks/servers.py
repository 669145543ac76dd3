"""The servers of the benchmarks, each a process of its own: a member that streams, and the bare yardstick.

Run as `python -m benchmarks.servers member|bare`; it prints the port it got and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable

import uvloop
from aiohttp import web

LINE = 100  # bytes of a build log's line
ROOM = {"total_pods": 0, "quota": 10_000_000}  # seats that no load can fill


async def _health(_: web.Request) -> web.Response:
    checks = [{"service": "JupyterHub API", "ok": True}, {"service": "Pod quota", "ok": True, **ROOM}]
    return web.json_response({"ok": True, "checks": checks})


async def _versions(_: web.Request) -> web.Response:
    return web.json_response({"builder_info": {}, "binderhub": "0"})


async def _build(request: web.Request) -> web.StreamResponse:
    """`events` log lines, each with the machine's monotonic clock, then `ready`.

    They come `pause` seconds apart on average and at random, as lines of builds do: streams that were opened together
    would else write together for ever.
    """
    events, pause = int(request.query["events"]), float(request.query["pause"])
    response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-cache"})
    await response.prepare(request)
    for _ in range(events):
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        message = b"%d" % time.monotonic_ns()
        await response.write(b'data: {"phase": "building", "message": "%s"}\n\n' % message.ljust(LINE))
    await response.write(
        b'data: {"phase": "ready", "message": "", "url": "http://127.0.0.1/", "token": ""}\n\n'
    )
    return response


def member() -> web.BaseRunner:
    app = web.Application()
    app.router.add_get("/health", _health)
    app.router.add_get("/versions", _versions)
    app.router.add_get("/build/{tail:.*}", _build)
    return web.AppRunner(app, access_log=None)


def bare() -> web.BaseRunner:
    """The least that aiohttp can do: its low-level server with one handler that answers a constant 307."""

    async def redirect(_: web.BaseRequest) -> web.Response:
        return web.Response(
            status=307,
            headers={"Location": "http://127.0.0.1/build/", "Access-Control-Allow-Origin": "*"},
        )

    return web.ServerRunner(web.Server(redirect, access_log=None))


async def main(make: Callable[[], web.BaseRunner]) -> None:
    runner = make()
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main({"member": member, "bare": bare}[sys.argv[1]]))
