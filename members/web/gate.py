"""Who may launch, asked in BinderHub's order (BINDER-PROTOCOL §1.5). Knows no launch.

Each check looks at one thing and lets the request pass (None) or says the launch's only event. What a
client asks for, its provider and spec, is judged after the gate by the launch itself.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from aiohttp import web

from members.core import phases
from members.core.buildtoken import Standing
from members.core.model import LoginFailed, Visit
from members.core.phases import Event
from members.core.ratelimit import RateLimiter, key_of
from members.web.accept import EVENT_STREAM, accepts_events
from members.web.keys import ABOUT
from members.web.login import VISITORS
from members.web.tokens import BuildTokens
from members.web.visitor import address_of, client_ip, site

Check = Callable[[web.Request], Awaitable[Event | None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RATE_HEADERS: web.RequestKey[dict[str, str]] = web.RequestKey("rate_headers", dict[str, str])
_TOKEN_HOLDS = web.RequestKey("token_holds", bool)
_USER: web.RequestKey[str] = web.RequestKey("user", str)

# Names of routes: probes must hear of a member's state wherever they look from, and launches have a check.
LAUNCH, HEALTH, VERSIONS = "launch", "health", "versions"
_BUILD_ONLY = (
    "Building but not launching is not permitted when the API only mode was not enabled"
    " by setting `enable_api_only_mode` to True. "
)


@dataclass(frozen=True, slots=True)
class Gate:
    """What the checks go by. `banned` are networks with the label of each; `now` is seconds since the epoch."""

    banned: tuple[tuple[IPv4Network | IPv6Network, str], ...] = ()
    tokens: BuildTokens | None = None
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(0, 1))
    api_only: bool = False
    now: Callable[[], float] = time.time


GATE = web.AppKey("gate", Gate)


async def check(request: web.Request) -> Event | None:
    """The event that refuses this request, or None. To be asked first, and of who comes back to a launch too."""
    return await _first(EVERY_REQUEST, request)


async def check_new(request: web.Request) -> Event | None:
    """What is asked after `check` of who comes back to no launch of their own: else something would be spent on
    it a second time, and its token may have expired since."""
    return await _first(NEW_LAUNCH, request)


def visit(request: web.Request) -> Visit:
    """What the launch event log is to know of a request that has passed the gate."""
    asked_from = request.headers.get("Origin") or request.headers.get("Sec-Fetch-Site") or ""
    return Visit(
        build_token=request.get(_TOKEN_HOLDS, False),
        origin=site(request, request.app[ABOUT]),
        request_origin=asked_from,
    )


async def banned(request: web.Request) -> Event | None:
    label = _ban(request)
    return None if label is None else phases.refused(403, f"Requests from {label} are not allowed")


async def accept(request: web.Request) -> Event | None:
    if accepts_events(",".join(request.headers.getall("Accept", ()))):
        return None
    return phases.refused(400, f"Missing Accept header: {EVENT_STREAM}")


async def logged_in(request: web.Request) -> Event | None:
    """Where visitors log in, a launch is somebody's, and their wish: a cookie alone also comes with what the page
    of another site asks for, such as a notebook on a port beside this one."""
    visitors = request.app.get(VISITORS)
    if visitors is None:
        return None
    try:
        name = await visitors.user(request)
    except LoginFailed as error:
        return phases.refused(502, str(error))
    if name is None or ("Authorization" not in request.headers and _of_another_site(request)):
        return phases.refused(403, "Forbidden")
    request[_USER] = name
    return None


def _of_another_site(request: web.Request) -> bool:
    """Whether a browser says that the page which asks is of another origin. Old browsers say nothing."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"


def user(request: web.Request) -> str | None:
    """Who launches, of a request that has passed the gate; None where nobody is asked."""
    return request.get(_USER)


async def build_token(request: web.Request) -> Event | None:
    """A launch without a token passes, and is counted; one with a false token does not."""
    gate = request.app[GATE]
    token = request.query.get("build_token")
    if not token or gate.tokens is None:
        return None
    standing = gate.tokens.standing(request, token, audience(request, "build"))
    if standing is Standing.REFUSED:
        return phases.refused(403, "Invalid build token")
    request[_TOKEN_HOLDS] = standing is Standing.HOLDS
    return None


async def rate_limit(request: web.Request) -> Event | None:
    gate = request.app[GATE]
    if request.get(_TOKEN_HOLDS, False) or user(request) is not None:
        return None
    left = gate.limiter.spend(key_of(client_ip(request)), gate.now())
    if left is None:
        return None
    request[RATE_HEADERS] = {
        "X-RateLimit-Remaining": str(max(0, left.remaining)),
        "X-RateLimit-Reset": str(left.reset),
        "X-RateLimit-Limit": str(left.limit),
    }
    if not left.exceeded:
        return None
    return phases.refused(429, f"Rate limit exceeded. Try again in {gate.limiter.period:.0f} seconds.")


async def build_only(request: web.Request) -> Event | None:
    if wants_build_only(request) and not request.app[GATE].api_only:
        return phases.refused(400, _BUILD_ONLY)
    return None


# BinderHub's order, in two parts.
EVERY_REQUEST: Sequence[Check] = (banned, accept, logged_in)
NEW_LAUNCH: Sequence[Check] = (build_token, rate_limit, build_only)


def wants_build_only(request: web.Request) -> bool:
    return request.query.get("build_only", "").lower() == "true"


def audience(request: web.Request, route: str) -> str:
    """`provider/spec` of a `/build/…` or `/v2/…` request, as it came: what a token is made for."""
    return request.rel_url.raw_path.removeprefix(f"{request.app[ABOUT].base_url}{route}/")


def networks(labels: dict[str, str]) -> tuple[tuple[IPv4Network | IPv6Network, str], ...]:
    """Networks and their labels as a gate takes them, in the order in which they are asked."""
    return tuple((ip_network(network), label) for network, label in labels.items())


@web.middleware
async def keep_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The ban on every address but a launch, which tells it as an event, and the two that probes look at."""
    route = request.match_info.route.name
    if route in (HEALTH, VERSIONS) or (route == LAUNCH and request.method == "GET"):
        return await handler(request)
    label = _ban(request)
    if label is None:
        return await handler(request)
    return web.Response(status=403, text=f"403: Requests from {label} are not allowed\n")


def _ban(request: web.Request) -> str | None:
    """The label of the first banned network that the visitor is in."""
    gate = request.app[GATE]
    if not gate.banned:
        return None
    address = address_of(client_ip(request))
    return next((label for network, label in gate.banned if address is not None and address in network), None)


async def _first(checks: Sequence[Check], request: web.Request) -> Event | None:
    for one in checks:
        refusal = await one(request)
        if refusal is not None:
            return refusal
    return None
