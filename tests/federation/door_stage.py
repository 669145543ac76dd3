"""A stage for the front door: members that answer as a stock BinderHub does, or break in every way."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from federation.app import FRONT_DOOR, FrontDoor, make_app
from federation.core.model import Member, State
from federation.core.rules import HealthRules, LaunchRules, LogRules, RefRules, Settings
from federation.service.ports import Clock
from federation.web.front import FrontRunner
from federation.web.launch import LAUNCHER

SPEC = "/build/gh/binder-examples/requirements/HEAD"
WELL = {"ok": True, "checks": [{"service": "JupyterHub API", "ok": True}]}
READY = {
    "phase": "ready",
    "message": "server running at http://hub.example/user/x/\n",
    "url": "http://hub.example/user/x/",
    "token": "t",
}
FAST = LaunchRules(timeout=20, stuck_after=10, connect_timeout=2)
SOON = HealthRules(interval=0.2, timeout=2, fall=2, rise=1, eject_base=0.2, slow_start=0.2)

Play = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def plays(*pieces: bytes, hold: bool = False) -> Play:
    """A stream of these bytes, then its end, or silence."""

    async def play(request: web.Request, response: web.StreamResponse) -> None:
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        if hold:
            await asyncio.Event().wait()

    return play


SUCCESS = plays(
    event(phase="built", imageName="image:1", message="Found built image, launching...\n"),
    event(phase="launching", message="Launching server...\n"),
    event(**READY),
    hold=True,  # a stock member holds the connection after ready
)


class StockMember:
    """One member on loopback. `play` is what `/build` does; `told` is what `/health` answers."""

    def __init__(self, name: str, play: Play = SUCCESS) -> None:
        self.name = name
        self.play = play
        self.told: Any = WELL
        self.status = 200
        self.headers: dict[str, str] = {}  # of `/build`, beside its type
        self.versions = b'{"binderhub": "1.0", "builder": "r2d"}'
        self.requests: list[web.Request] = []
        self.looks = 0
        self.open = 0
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> StockMember:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.die()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/versions", self._versions)
        app.router.add_get("/build/{spec:.*}", self._build)
        app.router.add_options("/build/{spec:.*}", self._preflight)
        self.add_routes(app)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def add_routes(self, app: web.Application) -> None:
        """What else it answers."""

    async def die(self) -> None:
        """Refuses connections from now on and cuts those that are open."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def configured(self, weight: float = 1.0, **more: Any) -> Member:
        return Member(self.name, f"http://127.0.0.1:{self.port}", weight, **more)

    async def _health(self, request: web.Request) -> web.Response:
        self.looks += 1
        if isinstance(self.told, bytes):
            return web.Response(body=self.told, status=self.status)
        return web.json_response(self.told, status=self.status)

    async def _versions(self, request: web.Request) -> web.Response:
        return web.Response(body=self.versions, content_type="application/json")

    def cut(self) -> None:
        """Breaks every connection, and goes on."""
        assert self._runner is not None and self._runner.server is not None
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    async def _preflight(self, request: web.Request) -> web.Response:
        return web.Response(headers=self.headers)

    async def _build(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.open += 1
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **self.headers})
            await response.prepare(request)
            await self.play(request, response)
        finally:
            self.open -= 1
        return response


@asynccontextmanager
async def raw_member(name: str, answer: bytes, *, hold: bool = False) -> AsyncIterator[Member]:
    """A member that is well by `/health`, and sends exactly these bytes to a launch."""
    well = json.dumps(WELL).encode()
    healthy = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(well) + well

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /build"):
                writer.write(answer)
                await writer.drain()
                if hold:
                    await reader.read()
            else:
                writer.write(healthy)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Member(name, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", 1.0)


def raw_stream(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + body


@dataclass
class Launched:
    """What a visitor got from one launch."""

    status: int
    headers: dict[str, str]
    body: bytes
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]

    @property
    def takers(self) -> list[str]:
        """The members that were tried, in order."""
        return [told["member"] for told in self.events if "attempt" in told]

    @property
    def phases(self) -> list[str]:
        return [told.get("phase", "") for told in self.events if "attempt" not in told]


class Door:
    """A front door on loopback, started as `serve` starts it."""

    def __init__(
        self,
        *members: Member,
        launch: LaunchRules = FAST,
        health: HealthRules = SOON,
        wait: bool = True,
        clock: Clock | None = None,
        **more: Any,
    ) -> None:
        more.setdefault("refs", RefRules(resolve=False))
        self.settings = Settings(members, launch=launch, health=health, log=LogRules("error"), **more)
        self.wait = wait
        self._clock = clock
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Door:
        app = make_app(self.settings, clock=self._clock)
        self.door: FrontDoor = app[FRONT_DOOR]
        self.runner = FrontRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=3)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = URL(f"http://127.0.0.1:{self.runner.addresses[0][1]}")
        self.session = await self._stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        )
        if self.wait:
            await until(lambda: all(view.state is not State.UNKNOWN for view in self.door.pool.views()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self.runner.cleanup()

    def state(self, name: str) -> State:
        view = self.door.pool.view(name)
        assert view is not None
        return view.state

    def ask(self, path: str, **options: Any) -> Any:
        return self.session.get(
            URL(str(self.url).rstrip("/") + path, encoded=True),
            allow_redirects=False,
            **options,
        )

    async def launch(self, path: str = SPEC, accept: str = "text/event-stream", **headers: str) -> Launched:
        async with self.ask(path, headers={"Accept": accept, **headers}) as answer:
            body = await answer.read()
        events = [json.loads(data) for data in re.findall(rb"^data: (.*)$", body, re.MULTILINE)]
        return Launched(answer.status, dict(answer.headers), body, events)

    async def text(self, path: str) -> str:
        async with self.ask(path) as answer:
            return str(await answer.text())

    async def json(self, path: str) -> Any:
        async with self.ask(path) as answer:
            return await answer.json()

    def fit(self, **parts: Any) -> None:
        """Puts these in place of what relayed launches share: see `Surroundings`."""
        launcher = self.runner.app[LAUNCHER]
        launcher._around = replace(launcher._around, **parts)

    def reconfigure(self, members: Sequence[Member]) -> None:
        """What a reload does, without a file."""
        self.door.configure(replace(self.door.configured, members=tuple(members)))


async def until(met: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits for something that happens elsewhere; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.01)


def series(text: str, name: str) -> dict[str, float]:
    """The values of a metric in a text of Prometheus, by their labels."""
    found = re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def without_ids(body: bytes) -> bytes:
    """The stream as a client reads it that knows nothing of ids."""
    return re.sub(rb"(?m)^id: .*\n", b"", body)
