"""The composition root: which part gets which. Decides nothing itself."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import aiohttp
from aiohttp import web

from members.adapters import log
from members.adapters.hub_client import HubClient
from members.adapters.hub_process import HubFailed, HubProcess
from members.adapters.metrics import Metrics
from members.adapters.oci_layout import OciLayoutStore
from members.adapters.process_build import ProcessBuilder
from members.adapters.proxy_install import ProxyMissing, ensure_proxy
from members.adapters.sandbox import SandboxMissing, detect
from members.core.facts import Fact, Tell
from members.core.model import BuildBroken, Isolation
from members.core.quota import Quota
from members.core.username import SUFFIX_ALPHABET, SUFFIX_LENGTH, user_name
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


START_FAULTS = (StartFailed, HubFailed, ProxyMissing, SandboxMissing, BuildBroken)


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


async def process_world(settings: Settings, tell: Tell) -> AsyncIterator[World]:
    """The process runtime: environments made with uv, sessions under a hub of this member's own."""
    isolation = await asyncio.to_thread(detect, settings.isolation)
    store = OciLayoutStore(folder=settings.images.store, state_dir=settings.state_dir)
    await asyncio.to_thread(store.prepare)
    git = getattr(settings.providers, "git", None)
    builder = ProcessBuilder(
        state_dir=settings.state_dir,
        cache_dir=settings.images.store.parent / "cache",
        store=store,
        isolation=isolation,
        timeout=settings.build.timeout,
        memory=settings.build.memory,
        output=settings.build.output,
        disk=settings.build.disk,
        git_protocols=git.protocols if git else (),
        file_roots=git.file_roots if git else (),
    )
    await asyncio.to_thread(builder.prepare)
    hub = HubProcess(
        state_dir=settings.state_dir,
        host=settings.host,
        port=settings.hub.port,
        proxy_command=await ensure_proxy(lambda line: None),
        isolation=isolation,
        public_url=settings.hub_url,
        memory=settings.sessions.memory,
        max_sessions=settings.sessions.max,
        idle_timeout=settings.sessions.idle_timeout,
        max_age=settings.sessions.max_age,
        launch_timeout=settings.sessions.launch_timeout,
        allow_origin=settings.cors_allow_origin,
        front_door=settings.launch_host,
        log_level=settings.log.level,
    )
    await hub.start()
    end_with_hub = asyncio.create_task(_end_with(hub), name="end with the hub")
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            client = HubClient(
                http=http,
                api_url=hub.api_url,
                api_token=hub.api_token,
                public_url=settings.hub_url,
                user_name=lambda repo_url: user_name(repo_url, _suffix()),
                launch_timeout=settings.sessions.launch_timeout,
            )
            yield World(store, builder, client, isolation)
    finally:
        end_with_hub.cancel()
        await asyncio.gather(end_with_hub, return_exceptions=True)
        await hub.stop()


def _suffix() -> str:
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))


async def _end_with(hub: HubProcess) -> None:
    """Sessions died with their hub: so does the member, and whoever supervises it starts both again."""
    await hub.wait()
    os.kill(os.getpid(), signal.SIGTERM)


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
