"""What the handlers find in the application, typed. The composition root puts it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from members.core.facts import Tell
from members.service.health import Health
from members.service.launches import Launches


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
LAUNCHES = web.AppKey("launches", Launches)
HEALTH = web.AppKey("health", Health)
Render = Callable[[str], tuple[bytes, str]]  # Accept header to body and content type
METRICS: web.AppKey[Render] = web.AppKey("metrics")
TELL: web.AppKey[Tell] = web.AppKey("tell")
