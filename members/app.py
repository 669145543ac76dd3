"""The composition root: which part gets which. Decides nothing itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

import aiohttp
from aiohttp import web

from members.adapters import log
from members.adapters.events import EventLog
from members.adapters.hub_process import HubFailed
from members.adapters.loop_interval import watched_loop
from members.adapters.metrics import Metrics
from members.adapters.proxy_install import ProxyMissing
from members.adapters.sandbox import SandboxMissing
from members.core.facts import Fact, Tell, Trouble
from members.core.model import BuildBroken
from members.core.quota import Quota
from members.core.ratelimit import RateLimiter
from members.providers.base import Tools
from members.providers.outward import public_connector
from members.runtimes.world import OpenWorld, RuntimeFailed, World
from members.service.builds import Builds
from members.service.health import Health, checks
from members.service.launch import Launcher
from members.service.launches import Launches
from members.service.pipeline import Pipeline, Source
from members.service.sessions import Sessions
from members.settings import Settings
from members.web.gate import GATE, Gate, networks
from members.web.keys import ABOUT, HEALTH, LAUNCHES, METRICS, TELL, About
from members.web.login import VISITORS, Visitors
from members.web.routes import add_routes
from members.web.tokens import BuildTokens

_AWAY = 30.0  # seconds that a launch goes on while its visitor is not there
_GRACE = 5.0  # seconds for requests under way when the member ends
_OVERRUN = 5.0  # seconds that a build may take longer than it may: its builder ends it before
_START_LIMIT = 60.0  # seconds until all health checks must pass once
_START_PAUSE = 0.2  # seconds between two looks at them


class MemberFailed(Exception):
    """The member cannot do its work any more; the message says which part of it is to blame."""


FAULTS = (MemberFailed, RuntimeFailed, HubFailed, ProxyMissing, SandboxMissing, BuildBroken)


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
async def running(
    settings: Settings, world: World, listeners: list[Tell], tell: Tell
) -> AsyncIterator[web.Application]:
    """The member at its address. On exit streams end first, then launches, builds, and removals of sessions."""
    async with _tools(tell) as tools, AsyncExitStack() as stack:
        sources = _sources(settings, tools)
        metrics = Metrics({id: source.provider.name for id, source in sources.items()})
        listeners += [metrics.listen, *world.listeners]
        await stack.enter_async_context(watched_loop(metrics.loop_interval))
        if settings.event_log is not None:
            events = EventLog(settings.event_log, lambda error: tell(Trouble("launch event log", error)))
            stack.callback(events.close)
            listeners.append(events.listen)
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
        launches = _launches(settings, pipeline, tell)
        stack.push_async_callback(launches.close)
        health = Health(checks(world.store, world.hub, builds, quota.total), tell)
        stack.push_async_callback(health.close)

        app = web.Application()
        app[ABOUT] = _about(settings, world, [source.provider.display() for source in sources.values()])
        app[GATE] = _gate(settings)
        if world.login is not None:
            secure = (settings.auth.url or settings.url).startswith("https:")
            app[VISITORS] = Visitors(world.login, secure=secure)
        app[LAUNCHES] = launches
        app[HEALTH] = health
        app[METRICS] = metrics.render
        app[TELL] = tell
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
        timeout=settings.build.timeout + _OVERRUN,
        log_limit=settings.build.output,
    )


def _launches(settings: Settings, pipeline: Pipeline, tell: Tell) -> Launches:
    return Launches(
        pipeline.run,
        tell,
        new_id=lambda: secrets.token_urlsafe(16),  # 128 bits: nobody comes upon another visitor's launch
        grace=_AWAY,
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
        isolation=world.isolation,
        versions={"builder_info": world.builder.info(), "binderhub": own_version},
        providers=tuple(providers),
        trusted_proxies=settings.trusted_proxies,
    )


def _gate(settings: Settings) -> Gate:
    tokens = settings.build_tokens
    # Without a shared secret tokens hold for pages of this member alone, until it starts anew.
    secret = (
        secrets.token_bytes(32) if tokens.secret is None else bytes.fromhex(tokens.secret.get_secret_value())
    )
    return Gate(
        banned=networks(settings.ban_networks),
        tokens=BuildTokens(secret, lifetime=tokens.lifetime, check_origin=tokens.check_origin),
        limiter=RateLimiter(settings.rate_limit.launches, settings.rate_limit.period),
        api_only=settings.api_only,
    )


async def _listen(app: web.Application, settings: Settings, stack: AsyncExitStack) -> None:
    """A visitor who leaves ends their handler at once; open streams end before the server closes."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_GRACE, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, settings.host, settings.port).start()
    stack.callback(app[LAUNCHES].stop)


async def _until_healthy(health: Health) -> None:
    deadline = asyncio.get_running_loop().time() + _START_LIMIT
    while not (report := await health.report()).ok:
        if asyncio.get_running_loop().time() > deadline:
            failing = ", ".join(check.service for check in report.checks if not check.ok)
            raise MemberFailed(f"still failing after {_START_LIMIT:.0f} seconds: {failing}")
        await asyncio.sleep(_START_PAUSE)
