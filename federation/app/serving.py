"""A front door as an application, and as a process that serves it. Holds no logic of its own."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler
from watchfiles import awatch

from federation.adapters.clock import SystemClock
from federation.adapters.log import http_logger
from federation.adapters.metrics import make_registry
from federation.adapters.metrics_costs import CostSeries
from federation.adapters.metrics_own import own_version
from federation.app.console import add_console
from federation.app.door import FrontDoor
from federation.app.live import add_live_events
from federation.core.facts import LoopFailed
from federation.core.policies import Dice
from federation.core.rules import Settings
from federation.service.ports import Clock, Members
from federation.settings import load
from federation.web import (
    api,
    archive,
    badges,
    costs,
    decisions,
    history,
    identity,
    incidents,
    launch,
    middleware,
    openapi,
    pages,
    status,
    steering,
)
from federation.web.front import FrontRunner
from federation.web.keys import POOL, RUNNING, Running

SHUTDOWN = 5.0  # seconds for requests that are not streams
IDLE = 75.0  # seconds until a connection without a request is closed; the library keeps it for an hour
LONGEST_LINE = 16 * 1024  # bytes of a request line or header: a spec and a query of the longest kind fit


FRONT_DOOR = web.AppKey("front_door", FrontDoor)


def make_app(
    settings: Settings, *, clock: Clock | None = None, dice: Dice = random.random
) -> web.Application:
    """The front door as an aiohttp application; it looks at its members as long as it runs."""
    door = FrontDoor(settings, clock or SystemClock(), dice)
    app = bare_app(door.running, door.pool, door.clock)
    app[FRONT_DOOR] = door
    app[status.ROOM] = door.room
    app[decisions.DISPATCHER] = door.dispatcher
    app[decisions.DECISIONS] = door.decisions
    app[api.CHOICES] = door.choices
    app[api.LATELY] = door.lately
    app[api.STEERING] = door.steering
    app[archive.DOWNLOADS] = archive.Downloads()
    app[costs.COSTS] = door.costs
    app[incidents.INCIDENTS] = door.incidents
    app[history.HISTORY] = door.history
    app[identity.SESSIONS] = identity.Sessions()
    app.cleanup_ctx.append(door.at_work)
    app.add_routes(
        [
            *launch.routes(),
            *api.routes(),
            *steering.routes(),
            *decisions.routes(),
            *costs.routes(),
            *incidents.routes(),
            *history.routes(),
            *archive.routes(),
            *openapi.routes(),
        ]
    )
    add_live_events(app, door)
    registry = make_registry(door.metrics)
    registry.register(CostSeries(door.costs))
    app.router.add_get("/metrics", make_aiohttp_handler(registry))
    add_console(app)
    app.add_routes(pages_for_people())
    return app


def bare_app(running: Running, pool: Members, clock: Clock) -> web.Application:
    """An application with what every handler needs, and without a route."""
    app = web.Application(middlewares=[middleware.plain_errors, middleware.addressed])
    app[RUNNING] = running
    app[POOL] = pool
    app[launch.STREAMS] = launch.OpenStreams()
    app[api.CLOCK] = clock
    app[api.VERSION] = own_version()
    app.on_response_prepare.append(middleware.add_safe_headers)
    app.on_shutdown.append(_end_streams)
    return app


def pages_for_people() -> list[web.RouteDef]:
    """To be added after all other routes: the last of them takes what is left."""
    return [*badges.routes(), *status.routes(), *pages.routes()]


def make_runner(app: web.Application) -> FrontRunner:
    """What serves the application, with the limits of a front door."""
    return FrontRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        logger=http_logger(),
        max_field_size=LONGEST_LINE,
        max_line_size=LONGEST_LINE,
        shutdown_timeout=SHUTDOWN,
        keepalive_timeout=IDLE,
    )


async def serve(config: Path, *, host: str, port: int, on_ready: Callable[[str], None] | None = None) -> None:
    """Runs a front door from this file until SIGINT, SIGTERM or cancellation, and follows the file's changes.

    Port 0 takes a free one; `on_ready` is told the URL once connections are accepted. Raises `SettingsError`
    for a file that cannot be used and OSError for an address that cannot be bound.
    """
    app = make_app(load(config))
    door = app[FRONT_DOOR]
    runner = make_runner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        url = url_of(host, runner.addresses[0][1])
        say_ready(door, url)
        if on_ready is not None:
            on_ready(url)
        async with following(config, door):
            await told_to_stop()
    finally:
        await runner.cleanup()


async def _end_streams(app: web.Application) -> None:
    app[launch.STREAMS].end()


def say_ready(door: FrontDoor, url: str, **more: object) -> None:
    """The lines with which a front door's log begins."""
    names = [member.name for member in door.settings().members]
    door.log.say("front door ready", url=url, members=names, **more)
    for notice in door.settings().notices:
        door.log.say("configuration", notice=notice)


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def following(config: Path, door: FrontDoor) -> AsyncIterator[None]:
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


async def told_to_stop() -> None:
    """Returns at SIGINT or SIGTERM."""
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
