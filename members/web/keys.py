"""What the handlers find in the application, typed. The composition root puts it there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from members.core.facts import Tell
from members.core.model import LaunchRequest
from members.core.phases import Event
from members.service.health import Health


class Run(Protocol):
    """All events of one launch; see `members.service.pipeline.Pipeline.run`."""

    def __call__(self, request: LaunchRequest) -> AsyncIterator[Event]: ...


@dataclass(frozen=True, slots=True)
class About:
    """What this member says of itself. `base_url` and `launch_host` end with a slash; `trusted_proxies` are
    the networks whose word about a visitor's address is believed."""

    name: str
    base_url: str
    launch_host: str | None
    allow_origin: str  # empty: no CORS header
    isolation: str  # a sentence for people
    versions: Mapping[str, object]
    providers: tuple[Mapping[str, object], ...]
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")


ABOUT = web.AppKey("about", About)
RUN = web.AppKey("run", Run)
HEALTH = web.AppKey("health", Health)
Render = Callable[[str], tuple[bytes, str]]  # Accept header to body and content type
METRICS: web.AppKey[Render] = web.AppKey("metrics")
TELL: web.AppKey[Tell] = web.AppKey("tell")
CLOSING = web.AppKey("closing", asyncio.Event)  # set when streams must end
