"""The composition root: which part gets which. Decides nothing itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import aiohttp
from aiohttp import web

from members.adapters import log, trees
from members.adapters.hub_client import HubClient
from members.adapters.hub_process import HubFailed, HubProcess
from members.adapters.metrics import Metrics
from members.adapters.oci_layout import OciLayoutStore
from members.adapters.process_build import ProcessBuilder
from members.adapters.proxy_install import ProxyMissing, ensure_proxy
from members.adapters.sandbox import SandboxMissing, detect
from members.core.facts import Fact, Note, Tell
from members.core.model import BuildBroken, Isolation
from members.core.quota import Quota
from members.core.username import SUFFIX_ALPHABET, SUFFIX_LENGTH, user_name
from members.providers.base import Tools
from members.providers.git import GitConfig
from members.providers.outward import public_connector
from members.service.builds import Builds
from members.service.health import Health, checks
from members.service.launch import Launcher
from members.service.pipeline import Pipeline, Source
from members.service.ports import Builder, Hub, ImageStore
from members.service.sessions import Sessions
from members.service.warm import warm
from members.settings import Settings
from members.web.keys import ABOUT, CLOSING, HEALTH, METRICS, RUN, TELL, About
from members.web.routes import add_routes

_ISOLATION = {
    Isolation.BUBBLEWRAP: "bubblewrap: a session sees its own files and processes, and shares the network",
    Isolation.NONE: "none: a session is a plain process of this member's user; launch only what you trust",
}
_GRACE = 5.0  # seconds for requests under way when the member ends
_START_LIMIT = 60.0  # seconds until all health checks must pass once
_START_PAUSE = 0.2  # seconds between two looks at them


class MemberFailed(Exception):
    """The member cannot do its work any more; the message says which part of it is to blame."""


FAULTS = (MemberFailed, HubFailed, ProxyMissing, SandboxMissing, BuildBroken)


@dataclass(frozen=True, slots=True)
class World:
    """The ports of one runtime, open and ready. `lost` returns, with the reason, when the runtime has ended."""

    store: ImageStore
    builder: Builder
    hub: Hub
    isolation: Isolation
    lost: Callable[[], Awaitable[str]]


OpenWorld = Callable[[Settings, Tell], AbstractAsyncContextManager[World]]


async def serve(
    settings: Settings, world: OpenWorld, *, announce: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Runs a member until `stop` is set, and ends everything that it started.

    `announce` gets the member's URL as soon as `/health` answers 200. Raises one of FAULTS, or OSError for a
    port or folder that cannot be used.
    """
    member = asyncio.create_task(_run(settings, world, announce), name="member")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({member, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        member.cancel()
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await member


async def _run(settings: Settings, world: OpenWorld, announce: Callable[[str], None]) -> None:
    listeners: list[Tell] = [log.listen]

    def tell(fact: Fact) -> None:
        for listen in listeners:
            listen(fact)

    async with world(settings, tell) as ports, running(settings, ports, listeners, tell) as app:
        await _until_healthy(app[HEALTH])
        announce(settings.url)
        raise MemberFailed(await ports.lost())


@asynccontextmanager
async def process_world(settings: Settings, tell: Tell) -> AsyncIterator[World]:
    """The runtime without containers: uv environments, an OCI layout folder, a JupyterHub of our own."""
    isolation = await asyncio.to_thread(detect, settings.isolation)
    tell(Note(f"Isolation of builds and sessions is {_ISOLATION[isolation]}"))
    spread = trees.link if isolation is Isolation.BUBBLEWRAP else trees.copy
    store = OciLayoutStore(folder=settings.images.store, state_dir=settings.state_dir, spread=spread)
    builder = _builder(settings, store, isolation)
    proxy = await ensure_proxy(lambda message: tell(Note(message)))
    hub = _hub(settings, isolation, proxy)
    await hub.start()
    try:
        # After the hub's start, which refuses a state_dir that another member uses.
        await asyncio.to_thread(store.prepare)
        await asyncio.to_thread(builder.prepare)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            client = HubClient(
                http=http,
                api_url=hub.api_url,
                proxied_api_url=hub.proxied_api_url,
                api_token=hub.api_token,
                public_url=settings.hub_url,
                user_name=lambda repo_url: user_name(repo_url, _suffix()),
                launch_timeout=settings.sessions.launch_timeout,
            )
            warming = asyncio.create_task(warm(builder.warm(), tell), name="warm")
            try:
                yield World(store, builder, client, isolation, lambda: _lost(hub))
            finally:
                warming.cancel()
                await asyncio.wait({warming})
    finally:
        await hub.stop()


def _builder(settings: Settings, store: OciLayoutStore, isolation: Isolation) -> ProcessBuilder:
    configs = {kind.id: config for kind, config in settings.enabled_providers()}
    git = configs.get("git")
    protocols, roots = (git.protocols, git.file_roots) if isinstance(git, GitConfig) else ((), ())
    return ProcessBuilder(
        state_dir=settings.state_dir,
        cache_dir=settings.cache_dir,
        store=store,
        isolation=isolation,
        timeout=settings.build.timeout,
        memory=settings.build.memory,
        output=settings.build.output,
        disk=settings.build.disk,
        git_protocols=sorted({*protocols, "https"}),  # what hosting sites are reached by
        file_roots=roots,
    )


def _hub(settings: Settings, isolation: Isolation, proxy: Sequence[str]) -> HubProcess:
    return HubProcess(
        state_dir=settings.state_dir,
        host=settings.host,
        port=settings.hub.port,
        proxy_command=proxy,
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


async def _lost(hub: HubProcess) -> str:
    return f"JupyterHub ended by itself with status {await hub.wait()}; see {hub.log_file}"


def _suffix() -> str:
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))


@asynccontextmanager
async def running(
    settings: Settings, world: World, listeners: list[Tell], tell: Tell
) -> AsyncIterator[web.Application]:
    """The member at its address. On exit streams end first, then builds, then removals of sessions."""
    async with _tools(tell) as tools, AsyncExitStack() as stack:
        sources = _sources(settings, tools)
        metrics = Metrics({id: source.provider.name for id, source in sources.items()})
        listeners.append(metrics.listen)
        limits = settings.sessions
        quota = Quota(limits.max, limits.per_repository, limits.per_repository_higher)
        sessions = Sessions(world.hub, quota, tell)
        stack.push_async_callback(sessions.close)
        builds = _builds(settings, world, tell)
        stack.push_async_callback(builds.close)
        attempts = settings.sessions.launch_attempts
        pipeline = Pipeline(
            sources,
            world.store,
            builds,
            sessions,
            Launcher(world.store, world.hub, sessions, tell, attempts=attempts),
            tell,
            image_prefix=settings.image_prefix,
            new_token=lambda: secrets.token_urlsafe(16),
        )
        health = Health(checks(world.store, world.hub, builds, quota.total), tell)
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


@asynccontextmanager
async def _tools(tell: Tell) -> AsyncIterator[Tools]:
    """What providers ask the world with: each request stands alone, no cookie is kept."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=public_connector()) as public,
    ):
        yield Tools(http, public, tell)


def _sources(settings: Settings, tools: Tools) -> dict[str, Source]:
    return {
        kind.id: Source(
            kind.make(config, tools),
            config.banned_specs,
            config.allowed_specs,
            config.high_quota_specs,
            tuple((rule.pattern, rule.config.quota) for rule in config.spec_config),
        )
        for kind, config in settings.enabled_providers()
    }


def _builds(settings: Settings, world: World, tell: Tell) -> Builds:
    return Builds(
        world.builder,
        world.store,
        tell,
        concurrent=settings.build.concurrent,
        timeout=settings.build.timeout,
        log_limit=settings.build.output,
    )


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


async def _until_healthy(health: Health) -> None:
    deadline = asyncio.get_running_loop().time() + _START_LIMIT
    while not (report := await health.report()).ok:
        if asyncio.get_running_loop().time() > deadline:
            failing = ", ".join(check.service for check in report.checks if not check.ok)
            raise MemberFailed(f"still failing after {_START_LIMIT:.0f} seconds: {failing}")
        await asyncio.sleep(_START_PAUSE)
