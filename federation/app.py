"""The composition root: puts the parts of a front door together and runs it. Holds no logic of its own."""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler
from watchfiles import awatch

from federation.adapters.clock import SystemClock
from federation.adapters.log import FactLog, http_logger
from federation.adapters.member_stream import HttpMemberStreams
from federation.adapters.metrics import FederationMetrics, make_registry, own_version
from federation.adapters.probe import HttpProber
from federation.adapters.transport import open_session
from federation.core.facts import ConfigurationRefused, Fact, LoopFailed
from federation.core.model import Launch
from federation.core.policies import Dice
from federation.core.rules import Settings
from federation.service.dispatch import Dispatcher
from federation.service.launcher import Launcher
from federation.service.monitor import Monitor
from federation.service.pool import Pool
from federation.service.ports import Clock, Visitor
from federation.service.relays import Relays
from federation.settings import SettingsError, load
from federation.web import api, badges, launch, middleware, pages, status, tokens
from federation.web.front import FrontRunner
from federation.web.keys import POOL, RUNNING, Running

AWAY = 30.0  # seconds that a launch goes on while its visitor is not there
SHUTDOWN = 5.0  # seconds for requests that are not streams
IDLE = 75.0  # seconds until a connection without a request is closed; the library keeps it for an hour
LONGEST_LINE = 16 * 1024  # bytes of a request line or header: a spec and a query of the longest kind fit


class FrontDoor:
    """The parts that live as long as the process, and how they follow a new configuration."""

    def __init__(self, settings: Settings, clock: Clock, dice: Dice) -> None:
        self.running = Running(settings)
        self.clock = clock
        self.dice = dice
        self.pool = Pool(settings, clock)
        self.log = FactLog(settings.log)
        self.metrics = FederationMetrics(self.pool)
        self.dispatcher = Dispatcher(self.pool, self.settings, dice)
        self._listeners = [self.metrics.listen, self.log.listen]
        self.pool.subscribe(self.tell)
        self._refused = ""

    def settings(self) -> Settings:
        """The configuration in force."""
        return self.running.settings

    def member_token(self, launch: Launch, visitor: Visitor) -> str:
        """The build token that a member gets with this launch."""
        return tokens.for_member(self.settings().build_tokens, launch, visitor, self.clock.now())

    def tell(self, fact: Fact) -> None:
        for listener in self._listeners:
            listener(fact)

    @asynccontextmanager
    async def at_work(self, app: web.Application) -> AsyncIterator[None]:
        """Connections and tasks, from the start of the application to its end."""
        async with open_session() as probes, open_session() as streams:
            prober = HttpProber(probes, lambda: self.settings().health, self.clock)
            relay = HttpMemberStreams(streams, lambda: self.settings().launch, self.member_token)
            launcher = Launcher(self.pool, self.dispatcher, relay, self.settings, self.tell)
            relays = Relays(launcher.relay, self.tell, new_id=new_id, grace=AWAY)
            app[launch.LAUNCHER], app[launch.RELAYS] = launcher, relays
            monitor = Monitor(self.pool, prober, self.settings, self.dice, self.tell)
            self._listeners.append(monitor.listen)
            async with monitor:
                try:
                    yield
                finally:
                    await relays.close()
            self._listeners.remove(monitor.listen)

    def reload(self, config: Path) -> None:
        """Takes the file over if it changes anything and is valid; otherwise all stays as it is."""
        try:
            settings = load(config)
        except SettingsError as error:
            if str(error) != self._refused:
                self._refused = str(error)
                self.tell(ConfigurationRefused(str(error)))
            return
        self._refused = ""
        if settings == self.settings():
            return
        self.running.settings = settings
        self.log.configure(settings.log)
        self.tell(replace(self.pool.configure(settings), notices=settings.notices))


FRONT_DOOR = web.AppKey("front_door", FrontDoor)


def new_id() -> str:
    """128 random bits: nobody comes upon another visitor's launch."""
    return secrets.token_urlsafe(16)


def make_app(
    settings: Settings, *, clock: Clock | None = None, dice: Dice = random.random
) -> web.Application:
    """The front door as an aiohttp application; it looks at its members as long as it runs."""
    door = FrontDoor(settings, clock or SystemClock(), dice)
    app = web.Application(middlewares=[middleware.plain_errors, middleware.addressed])
    app[FRONT_DOOR] = door
    app[RUNNING] = door.running
    app[POOL] = door.pool
    app[launch.STREAMS] = launch.OpenStreams()
    app[api.DISPATCHER] = door.dispatcher
    app[api.CLOCK] = door.clock
    app[api.VERSION] = own_version()
    app.cleanup_ctx.append(door.at_work)
    app.on_response_prepare.append(middleware.add_safe_headers)
    app.on_shutdown.append(_end_streams)
    app.add_routes([*launch.routes(), *api.routes()])
    app.router.add_get("/metrics", make_aiohttp_handler(make_registry(door.metrics)))
    app.add_routes([*badges.routes(), *status.routes(), *pages.routes()])  # the last takes what is left
    return app


async def serve(config: Path, *, host: str, port: int, on_ready: Callable[[str], None] | None = None) -> None:
    """Runs a front door from this file until SIGINT, SIGTERM or cancellation, and follows the file's changes.

    Port 0 takes a free one; `on_ready` is told the URL once connections are accepted. Raises `SettingsError`
    for a file that cannot be used and OSError for an address that cannot be bound.
    """
    app = make_app(load(config))
    door = app[FRONT_DOOR]
    runner = FrontRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        logger=http_logger(),
        max_field_size=LONGEST_LINE,
        max_line_size=LONGEST_LINE,
        shutdown_timeout=SHUTDOWN,
        keepalive_timeout=IDLE,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        url = _url(host, runner)
        door.log.say("front door ready", url=url, members=[member.name for member in door.settings().members])
        for notice in door.settings().notices:
            door.log.say("configuration", notice=notice)
        if on_ready is not None:
            on_ready(url)
        async with _following(config, door):
            await _told_to_stop()
    finally:
        await runner.cleanup()


async def _end_streams(app: web.Application) -> None:
    app[launch.STREAMS].end()


def _url(host: str, runner: web.AppRunner) -> str:
    port = runner.addresses[0][1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def _following(config: Path, door: FrontDoor) -> AsyncIterator[None]:
    """Watches the file's folder: editors and Kubernetes replace files by renaming others over them."""

    folder = config.parent

    async def follow() -> None:
        try:
            async for _ in awatch(folder, recursive=False):
                door.reload(config)
        except Exception as error:  # such as a folder that cannot be watched: changes need a restart then
            door.tell(LoopFailed("watch of the configuration", error))

    task = asyncio.create_task(follow(), name="configuration")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _told_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    with suppress(NotImplementedError, ValueError, RuntimeError):  # not in a main thread, or on Windows
        for number in signals:
            loop.add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        with suppress(NotImplementedError, ValueError, RuntimeError):
            for number in signals:
                loop.remove_signal_handler(number)
