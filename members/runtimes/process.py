"""The runtime without containers: which adapters it is made of. Knows how none of them works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from members.adapters import trees
from members.adapters.hub_parameters import ProcessSessions
from members.adapters.hub_process import HubProcess
from members.adapters.oci_layout import OciLayoutStore
from members.adapters.process_build import ProcessBuilder
from members.adapters.proxy_install import ensure_proxy
from members.adapters.sandbox import detect
from members.core.facts import Note, Tell
from members.core.model import Isolation
from members.providers.git import GitConfig
from members.runtimes.hub import client_of, lost
from members.runtimes.world import World
from members.service.warm import warm
from members.settings import Settings

_SESSION_MEMORY = 8 * 1024**3  # bytes of address space, of which a session uses a small part
_ISOLATION = {
    Isolation.BUBBLEWRAP: "bubblewrap: a session sees its own files and processes, and shares the network",
    Isolation.NONE: "none: a session is a plain process of this member's user; launch only what you trust",
}


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
        async with client_of(hub, settings) as client:
            warming = asyncio.create_task(warm(builder.warm(), tell), name="warm")
            try:
                yield World(store, builder, client, _ISOLATION[isolation], lambda: lost(hub))
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
        sessions=ProcessSessions(isolation=isolation, memory=settings.sessions.memory or _SESSION_MEMORY),
        public_url=settings.hub_url,
        max_sessions=settings.sessions.max,
        idle_timeout=settings.sessions.idle_timeout,
        max_age=settings.sessions.max_age,
        launch_timeout=settings.sessions.launch_timeout,
        allow_origin=settings.cors_allow_origin,
        front_door=settings.launch_host,
        log_level=settings.log.level,
    )
