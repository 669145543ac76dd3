"""From a member's settings to its registry. Knows neither its kinds nor its API."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from yarl import URL

from members.adapters.registry import Place, Registry, open_registry
from members.adapters.registry_usage import UsageStore
from members.core.facts import Tell
from members.core.model import RegistryState
from members.service.usage import Recorder
from members.settings import Settings

_STRANGERS_PATIENCE = 3.0  # seconds; a firewall that swallows our question is as good as a refusal


def registry_place(settings: Settings) -> Place | None:
    """What `open_registry` opens; None when the images of this member stay on its own engine."""
    section = settings.registry
    if section.url is None:
        return None
    return Place(
        kind=section.kind,
        url=section.url,
        image_prefix=settings.image_prefix,
        docker_config=docker_config_folder(settings),
        cache=section.cache,
        username=section.username,
        password=None if section.password is None else section.password.get_secret_value(),
        token_url=section.token_url,
        helper_token=None if section.helper_token is None else section.helper_token.get_secret_value(),
        not_found_401=section.not_found_401,
        timeout=section.timeout,
    )


def docker_config_folder(settings: Settings) -> Path:
    """The folder of Docker's config.json: the setting, else ${DOCKER_CONFIG}, else Docker's own."""
    given = settings.registry.docker_config
    return given or Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


async def open_to_sessions(place: Place, gateway: str | None) -> bool:
    """Whether who shows no credentials may push, from where sessions are: `gateway` is this machine's address there.

    A registry that listens to loopback alone is out of their reach. False for kinds whose address is not ours to know.
    """
    url = URL(place.url)
    if place.kind != "distribution" or (_is_loopback(url.host or "") and gateway is None):
        return False
    if _is_loopback(url.host or "") and gateway is not None:
        url = url.with_host(gateway)
    stranger = replace(
        place,
        url=str(url),
        docker_config=Path("/nonexistent"),
        username=None,
        password=None,
        timeout=min(place.timeout, _STRANGERS_PATIENCE),
    )
    async with open_registry(stranger, lambda fact: None) as registry:
        await registry.check()
        return registry.state is RegistryState.READY


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def usage_listeners(
    settings: Settings, registry: Registry | None, tell: Tell
) -> AsyncIterator[tuple[Tell, ...]]:
    """What a world gives as its `listeners`, so that this member's uses of images stand in the registry.

    None for a registry that takes no records. The last record is written at the end.
    """
    if registry is None or registry.wire is None:
        yield ()
        return
    recorder = Recorder(
        UsageStore(registry.wire, settings.image_prefix),
        tag=f"{settings.name}-{_home(settings)}",
        member=settings.name,
        tell=tell,
        clock=time.time,
    )
    recorder.start()
    try:
        yield (recorder.listen,)
    finally:
        await recorder.close()


def _home(settings: Settings) -> str:
    """Tells two members of one name apart, which must not write over each other's records."""
    return hashlib.sha256(f"{platform.node()} {settings.state_dir}".encode()).hexdigest()[:8]
