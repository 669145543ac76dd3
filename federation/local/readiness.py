"""Waits until a launch would work, as a visitor would find out: over HTTP. Starts and ends nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from federation.local.layout import FRONT_DOOR, PROMETHEUS, REGISTRY
from federation.local.plan import DockerPlan, Plan, PrometheusPlan
from federation.local.report import Report

_LIMIT = (
    180.0  # seconds for everything; a member on a slow machine needs its hub, its proxy and their imports
)
_REGISTRY_LIMIT = 60.0
_PROMETHEUS_LIMIT = 30.0
_LOOK_EVERY = 0.2
_ANSWER = aiohttp.ClientTimeout(total=5)
HOPELESS = 3  # ends in a row, without ever having been ready


class NotReady(Exception):
    """No launch would work, and waiting longer would not help; the message says which part is missing."""


async def wait_ready(plan: Plan, failures: Callable[[str], int], report: Report) -> tuple[str, ...]:
    """Returns the members that take launches, as soon as all do.

    Fewer, but at least one, are enough when the others keep ending or the time is up. `failures` tells how
    often a program ended so far. Raises NotReady.
    """
    begun = time.monotonic()
    seen: set[str] = set()
    async with aiohttp.ClientSession(timeout=_ANSWER) as session:
        while True:
            for member in plan.members:
                if member.name not in seen and await _answers(session, f"{member.url}/health"):
                    seen.add(member.name)
                    report.done(f"{member.name} is ready ({time.monotonic() - begun:.1f} s)")
            waited = time.monotonic() - begun
            if (ready := _verdict(plan, await _active(session, plan), failures, waited)) is not None:
                return ready
            await asyncio.sleep(_LOOK_EVERY)


async def wait_registry(docker: DockerPlan, failures: Callable[[str], int]) -> None:
    """Returns as soon as the registry answers: members on Docker do not start without. Raises NotReady."""
    begun = time.monotonic()
    async with aiohttp.ClientSession(timeout=_ANSWER) as session:
        while not await _answers(session, f"{docker.registry_url}/v2/"):
            if failures(REGISTRY) >= HOPELESS:
                raise NotReady(f"the registry ended {HOPELESS} times")
            if time.monotonic() - begun > _REGISTRY_LIMIT:
                raise NotReady(f"the registry did not answer within {_REGISTRY_LIMIT:.0f} s")
            await asyncio.sleep(_LOOK_EVERY)


async def prometheus_ready(prometheus: PrometheusPlan, failures: Callable[[str], int]) -> bool:
    """Whether it answers within a limit. Launches work without it: nothing waits for it any longer."""
    begun = time.monotonic()
    async with aiohttp.ClientSession(timeout=_ANSWER) as session:
        while not await _answers(session, f"{prometheus.url}/-/ready"):
            if failures(PROMETHEUS) >= HOPELESS or time.monotonic() - begun > _PROMETHEUS_LIMIT:
                return False
            await asyncio.sleep(_LOOK_EVERY)
    return True


def _verdict(
    plan: Plan, active: set[str], failures: Callable[[str], int], waited: float
) -> tuple[str, ...] | None:
    """The members that take launches, if it is time to go on; None to wait. Raises NotReady."""
    ready = tuple(member.name for member in plan.members if member.name in active)
    missing = [member.name for member in plan.members if member.name not in active]
    lost = all(failures(name) >= HOPELESS for name in missing)
    late = waited > _LIMIT
    if ready and (lost or late):
        return ready
    if failures(FRONT_DOOR) >= HOPELESS:
        raise NotReady(f"the front door ended {HOPELESS} times")
    if lost:
        raise NotReady(f"{' and '.join(missing)} ended {HOPELESS} times")
    if late:
        raise NotReady(f"no member took launches within {_LIMIT:.0f} s")
    return None


async def isolation(plan: Plan) -> str:
    """How sessions are fenced off, as the first member that answers tells; empty when none does."""
    async with aiohttp.ClientSession(timeout=_ANSWER) as session:
        for member in plan.members:
            builder = (await _json(session, f"{member.url}/versions")).get("builder_info")
            if isinstance(builder, dict) and isinstance(found := builder.get("isolation"), str):
                return found
    return ""


async def _active(session: aiohttp.ClientSession, plan: Plan) -> set[str]:
    """The members to which the front door would send a launch now; none when it is not well itself."""
    if not await _answers(session, f"{plan.url}/health"):
        return set()
    hosts = (await _json(session, f"{plan.url}/active_hosts")).get("active_hosts")
    return set(hosts) if isinstance(hosts, dict) else set()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


async def _json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    try:
        async with session.get(url) as response:
            found = await response.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
