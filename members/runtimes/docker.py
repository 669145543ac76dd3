"""The runtime of a container engine: which adapters it is made of. Knows how none of them works."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from members.adapters.docker_build import BuildLimits, DockerBuilder, GitAccess, Recipe
from members.adapters.docker_images import DockerImages
from members.adapters.engine import Engine, EngineDown, EngineRefused
from members.adapters.engine_room import EngineRoom
from members.adapters.hub_parameters import DockerSessions
from members.adapters.hub_process import HubProcess
from members.adapters.proxy_install import ensure_proxy
from members.adapters.registry import Registry, open_registry
from members.adapters.warded import warded
from members.core.enginefit import gateway, keeps_apart, shortcomings, unfit
from members.core.facts import Note, Tell
from members.core.labels import Labels, labels
from members.providers.clone import clone_credentials
from members.providers.git import GitConfig
from members.runtimes.hub import access_to, accounts_of, lost
from members.runtimes.registry import docker_config_folder, open_to_sessions, registry_place, usage_listeners
from members.runtimes.world import RuntimeFailed, World
from members.settings import Settings

_SESSION_MEMORY = 2 * 1024**3  # bytes of a whole session
_USUAL_SOCKET = "unix:///var/run/docker.sock"
_TOGETHER = (
    "lets sessions reach each other's ports: make it with the bridge driver and the option"
    " com.docker.network.bridge.enable_icc=false, or remove it and the member makes it"
)
_OPEN = (
    "takes images from anyone, also from sessions and builds, which could put others in the place of the federation's:"
    " give it accounts, or keep containers from reaching it (docs/registry.md)"
)
_ISOLATION = (
    "containers: a session sees its own files and processes, has no rights on this machine, and reaches no other"
    " session if the engine manages iptables"
)


@asynccontextmanager
async def docker_world(settings: Settings, tell: Tell) -> AsyncIterator[World]:
    """repo2docker and BuildKit, the common registry, a JupyterHub of our own with containers.

    The engine may restart: meanwhile /health says no, and sessions that ended with it are cleared away. Only the
    end of the hub ends the member.
    """
    host = docker_host(settings, os.environ)
    ours = labels(settings.name, str(settings.state_dir.resolve()), secrets.token_hex(6))
    network = settings.docker.network or ours.network
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Engine(host))
        await _require(engine, tell)
        registry = await _registry(settings, tell, stack)
        builder = _builder(settings, host, registry, tell)
        proxy = await ensure_proxy(lambda message: tell(Note(message)))

        async def tidy() -> None:
            await _remove(engine, ours.of_run)

        await stack.enter_async_context(warded(Path(host.removeprefix("unix://")), ours.of_run, tidy))
        hub = _hub(settings, proxy, host=host, network=network, ours=ours)
        await hub.start()
        stack.push_async_callback(hub.stop)
        # After the hub's start, which refuses a state_dir that another member uses.
        await _prepare(engine, network, ours)
        await _warn(engine, network, settings, tell)
        await asyncio.to_thread(builder.prepare)
        room = EngineRoom(
            engine,
            image_prefix=settings.image_prefix,
            images=settings.docker.images,
            cache=settings.docker.build_cache,
            clock=time.time,
            tell=tell,
        )
        room.start()
        stack.push_async_callback(room.close)
        images = DockerImages(engine, registry, tell, room.using)
        stack.push_async_callback(images.close)
        access = await stack.enter_async_context(access_to(hub, settings))
        tell(Note(f"Isolation of sessions is {_ISOLATION}"))
        listeners = await stack.enter_async_context(usage_listeners(settings, registry, tell))
        yield World(
            images, builder, access.client, _ISOLATION, lambda: lost(hub), listeners, login=access.login
        )


def docker_host(settings: Settings, environ: Mapping[str, str]) -> str:
    """The engine's socket: the setting, else ${DOCKER_HOST}, else Docker's own. Raises RuntimeFailed."""
    host = settings.docker.host or environ.get("DOCKER_HOST") or _USUAL_SOCKET
    if not host.startswith("unix:///"):
        raise RuntimeFailed(
            f"DOCKER_HOST is {host}: expected the engine's socket on this machine, such as {_USUAL_SOCKET};"
            f" sessions are reached at their containers' own addresses"
        )
    return host


async def _require(engine: Engine, tell: Tell) -> None:
    try:
        version, info = await engine.told()
    except (EngineDown, EngineRefused) as error:
        raise RuntimeFailed(str(error)) from error
    if (why := unfit(version, info)) is not None:
        raise RuntimeFailed(f"the container engine at {engine.host} {why}")
    for shortcoming in shortcomings(info):
        tell(Note(shortcoming))


async def _registry(settings: Settings, tell: Tell, stack: AsyncExitStack) -> Registry | None:
    place = registry_place(settings)
    if place is None:
        tell(Note("No registry: images stay on this member's engine, and no other member will find them"))
        return None
    registry = await stack.enter_async_context(open_registry(place, tell))
    if not await registry.check():
        raise RuntimeFailed(f"registry.url: the registry at {place.url} is {registry.state}")
    return registry


async def _prepare(engine: Engine, network: str, ours: Labels) -> None:
    """Removes what an earlier run left, and makes the sessions' network unless the operator has made it."""
    try:
        await _remove(engine, ours.of_state)
    except (EngineDown, EngineRefused) as error:
        raise RuntimeFailed(f"what an earlier run left on the engine cannot be removed: {error}") from error
    try:
        await engine.make_network(network, ours.all)
    except (EngineDown, EngineRefused) as error:
        raise RuntimeFailed(f"docker.network: {network} could not be made: {error}") from error


async def _warn(engine: Engine, network: str, settings: Settings, tell: Tell) -> None:
    """Of what the operator made so that sessions reach what they should not: the member could not hold them back."""
    try:
        made = await engine.network(network)
    except (EngineDown, EngineRefused) as error:
        raise RuntimeFailed(f"docker.network: {network} cannot be looked at: {error}") from error
    if not keeps_apart(made):
        tell(Note(f"docker.network: {network} {_TOGETHER}"))
    place = registry_place(settings)
    if place is not None and await open_to_sessions(place, gateway(made)):
        tell(Note(f"The registry at {place.url} {_OPEN}"))


async def _remove(engine: Engine, label: str) -> None:
    await engine.remove_containers(label)
    await engine.remove_networks(label)


def _builder(settings: Settings, host: str, registry: Registry | None, tell: Tell) -> DockerBuilder:
    build = settings.build
    configs = {kind.id: config for kind, config in settings.enabled_providers()}
    git = configs.get("git")
    protocols, roots = (git.protocols, git.file_roots) if isinstance(git, GitConfig) else ((), ())
    credentials = {} if registry is None else {"credentials": registry.credentials}
    return DockerBuilder(
        docker_host=host,
        docker_config=docker_config_folder(settings),
        state_dir=settings.state_dir,
        push=registry is not None,
        limits=BuildLimits(
            timeout=build.timeout,
            output=build.output,
            disk=build.disk,
            memory=build.memory,
            pids=build.pids,
            layer=build.layer,
            concurrent=build.concurrent,
            silence=build.silence,
        ),
        git=GitAccess(
            protocols=sorted({*protocols, "https"}),
            file_roots=roots,
            credentials={
                id: secret for id, config in configs.items() if (secret := clone_credentials(config))
            },
        ),
        tell=tell,
        recipe=Recipe(build.buildpacks, build.base_image, build.appendix, build.repo2docker_args),
        **credentials,
    )


def _hub(settings: Settings, proxy: Sequence[str], *, host: str, network: str, ours: Labels) -> HubProcess:
    limits = settings.sessions
    return HubProcess(
        state_dir=settings.state_dir,
        host=settings.host,
        port=settings.hub.port,
        proxy_command=proxy,
        sessions=DockerSessions(
            docker_host=host,
            network=network,
            labels=ours.all,
            memory=limits.memory or _SESSION_MEMORY,
            cpu=limits.cpu,
            pids=limits.pids,
        ),
        public_url=settings.hub_url,
        max_sessions=limits.max,
        idle_timeout=limits.idle_timeout,
        max_age=limits.max_age,
        launch_timeout=limits.launch_timeout,
        allow_origin=settings.cors_allow_origin,
        front_door=settings.launch_host,
        log_level=settings.log.level,
        accounts=accounts_of(settings),
    )
