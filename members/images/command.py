"""Opens the federation's registry for `binder-member images`. Decides nothing and prints nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from members.adapters.registry import open_registry
from members.adapters.registry_catalog import Catalog
from members.adapters.registry_usage import UsageStore
from members.core.facts import Fact
from members.core.model import RegistryDown, RegistryRefuses
from members.core.retention import Policy, Verdict, path_of
from members.runtimes.registry import registry_place
from members.service.retention import Deleted, Retention, Survey
from members.settings import Settings

FAULTS: tuple[type[Exception], ...] = (RegistryDown, RegistryRefuses)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a policy says about every image, and what came of it. `fault` ended a deletion; empty without one."""

    verdicts: tuple[Verdict, ...]
    deleted: tuple[Deleted, ...] = ()
    fault: str = ""


async def survey(settings: Settings) -> Survey:
    """All images of the federation. Raises one of FAULTS, as the two below."""
    async with _retention(settings) as images:
        return await images.survey()


async def plan(settings: Settings, policy: Policy) -> Pruned:
    """What would go; touches nothing."""
    async with _retention(settings) as images:
        return Pruned(tuple(images.judge(await images.survey(), policy)))


async def prune(settings: Settings, policy: Policy) -> Pruned:
    """Deletes what goes. A fault after the first deletion does not hide what has been done."""
    async with _retention(settings) as images:
        verdicts = images.judge(await images.survey(), policy)
        deleted: list[Deleted] = []
        try:
            async for one in images.prune(verdicts, policy):
                deleted.append(one)  # noqa: PERF401 - kept when the next one fails
        except FAULTS as error:
            return Pruned(tuple(verdicts), tuple(deleted), str(error))
        return Pruned(tuple(verdicts), tuple(deleted))


@asynccontextmanager
async def _retention(settings: Settings) -> AsyncIterator[Retention]:
    """The images of the federation that a member's file is about. Raises RegistryRefuses where that cannot be."""
    place = registry_place(settings)
    if place is None:
        raise RegistryRefuses(
            "registry.url: this member's images stay on its own engine: expected a registry, which is what the "
            "members of a federation share"
        )
    async with open_registry(place, _nobody) as registry:
        if registry.wire is None:
            raise RegistryRefuses(
                f"registry.kind: {place.kind!r}: it knows single images and cannot list them; "
                "use the registry's own retention rules"
            )
        if path_of(settings.image_prefix) in ("", "library/"):
            raise RegistryRefuses(
                f"image_prefix: {settings.image_prefix!r}: it does not tell the federation's images from others in "
                "the registry: expected one that goes on after the host, such as registry.example.org/binder-"
            )
        yield Retention(
            Catalog(registry.wire),
            UsageStore(registry.wire, settings.image_prefix),
            image_prefix=settings.image_prefix,
            clock=time.time,
        )


def _nobody(fact: Fact) -> None:
    """Listens to what only a running member's log is interested in."""
