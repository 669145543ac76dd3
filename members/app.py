"""The composition root: which part gets which. Decides nothing itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import aiohttp
from aiohttp import web

from members.adapters import log
from members.adapters.metrics import Metrics
from members.core.facts import Fact, Tell
from members.core.model import Isolation
from members.core.quota import Quota
from members.providers.base import Tools
from members.service.builds import Builds
from members.service.health import Health, checks
from members.service.launch import Launcher
from members.service.pipeline import Pipeline, Source
from members.service.ports import Builder, Hub, ImageStore
from members.service.sessions import Sessions
from members.settings import Settings
from members.web.keys import ABOUT, CLOSING, HEALTH, METRICS, RUN, TELL, About
from members.web.routes import add_routes

_ISOLATION = {
    Isolation.BUBBLEWRAP: "bubblewrap: each session has its own view of files and processes, and shares the network",
    Isolation.NONE: "none: each session is a plain process of this member's user; launch only what you trust",
}
_GRACE = 5.0  # seconds for requests under way when the member ends
_START_LIMIT = 120.0  # seconds until all health checks must pass once
_START_PAUSE = 0.2  # seconds between two looks at them


class StartFailed(Exception):
    """The member cannot do its work; the message says which part does not answer."""


@dataclass(frozen=True, slots=True)
class World:
    """The ports of one runtime, open and ready."""

    store: ImageStore
    builder: Builder
    hub: Hub
    isolation: Isolation


async def serve(
    settings: Settings,
    world: Callable[[Settings, Tell], AsyncIterator[World]],
    *,
    announce: Callable[[str], None],
    stop: asyncio.Event,
) -> None:
    """Runs a member until `stop` is set, and ends everything that it started.

    `announce` gets the member's URL as soon as `/health` answers 200. Raises StartFailed, OSError (port taken) or
    what the runtime's parts raise at their start.
    """
    listeners: list[Tell] = [log.listen]

    def tell(fact: Fact) -> None:
        for listen in listeners:
            listen(fact)

    async with AsyncExitStack() as stack:
        ports = await stack.enter_async_context(asynccontextmanager(world)(settings, tell))
        app = await stack.enter_async_context(running(settings, ports, listeners, tell))
        if await _healthy(app[HEALTH], stop):
            announce(settings.url)
            await stop.wait()


@asynccontextmanager
async def running(
    settings: Settings, world: World, listeners: list[Tell], tell: Tell
) -> AsyncIterator[web.Application]:
    """The member at its address. On exit streams end first, then builds, then removals of sessions."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http, AsyncExitStack() as stack:
        sources = _sources(settings, Tools(http, tell))
        metrics = Metrics({id: source.provider.name for id, source in sources.items()})
        listeners.append(metrics.listen)
        sessions = Sessions(
            world.hub, Quota(settings.sessions.max, settings.sessions.per_repository), tell
        )
        stack.push_async_callback(sessions.close)
        builds = Builds(
            world.builder,
            world.store,
            tell,
            concurrent=settings.build.concurrent,
            timeout=settings.build.timeout,
            log_limit=settings.build.output,
        )
        stack.push_async_callback(builds.close)
        launcher = Launcher(world.store, world.hub, sessions, tell, attempts=settings.sessions.launch_attempts)
        pipeline = Pipeline(
            sources,
            world.store,
            builds,
            sessions,
            launcher,
            tell,
            image_prefix=settings.image_prefix,
            new_token=lambda: secrets.token_urlsafe(16),
        )
        health = Health(checks(world.store, world.hub, builds, settings.sessions.max), tell)
        stack.push_async_callback(health.close)

        app = web.Application()
        app[ABOUT] = _about(settings, world, [source.provider.display() for source in sources.values()])
        app[RUN] = pipeline.run
        app[HEALTH] = health
        app[METRICS] = metrics.render
        app[TELL] = tell
        app[CLOSING] = asyncio.Event()
        add_routes(app)
        await _listen(app, settings, stack)
        yield app


def _sources(settings: Settings, tools: Tools) -> dict[str, Source]:
    return {
        kind.id: Source(kind.make(config, tools), config.banned_specs, config.allowed_specs)
        for kind, config in settings.enabled_providers()
    }


def _about(settings: Settings, world: World, providers: Sequence[dict[str, object]]) -> About:
    try:
        own_version = version("binder-federation")
    except PackageNotFoundError:  # started from its sources
        own_version = "0+unknown"
    return About(
        name=settings.name,
        base_url=settings.base_url,
        launch_host=settings.launch_host,
        allow_origin=settings.cors_allow_origin,
        isolation=_ISOLATION[world.isolation],
        versions={"builder_info": world.builder.info(), "binderhub": own_version},
        providers=tuple(providers),
    )


async def _listen(app: web.Application, settings: Settings, stack: AsyncExitStack) -> None:
    """A visitor who leaves ends their handler at once; open streams end before the server closes."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_GRACE, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, settings.host, settings.port).start()
    stack.callback(app[CLOSING].set)


async def _healthy(health: Health, stop: asyncio.Event) -> bool:
    """Waits until all checks pass; False when the member is to end before that. Raises StartFailed."""
    deadline = asyncio.get_running_loop().time() + _START_LIMIT
    while not stop.is_set():
        report = await health.report()
        if report.ok:
            return True
        if asyncio.get_running_loop().time() > deadline:
            failing = ", ".join(check.service for check in report.checks if not check.ok)
            raise StartFailed(f"still failing after {_START_LIMIT:.0f} seconds: {failing}")
        await asyncio.sleep(_START_PAUSE)
    return False
