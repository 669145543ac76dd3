"""What every request passes: whose word on the visitor's address is taken, how errors look, safe headers.

Knows no launch and no member.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import orjson
from aiohttp import web
from aiohttp_remotes import XForwardedFiltered

from federation.web.keys import RUNNING

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Networks = tuple[IPv4Network | IPv6Network, ...]

SERVER = "binder-federation"  # and not which library in which version
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


@web.middleware
async def forwarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Believes X-Forwarded-* from the proxies that the operator listed, and from nobody else."""
    trusted = request.app[RUNNING].settings.trusted_proxies
    if not trusted or not _from_one_of(request.remote, _networks(trusted)):
        return await handler(request)
    return await _filter(trusted).middleware(request, handler)


@web.middleware
async def plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """HTTP errors as JSON for programs and as a line of text for the rest; redirects stay what they are."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        message = error.reason
        if "json" in request.headers.get("Accept", ""):
            body, kind = orjson.dumps({"status": error.status, "message": message}), "application/json"
        else:
            body, kind = f"{error.status}: {message}\n".encode(), "text/plain"
        kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return web.Response(status=error.status, body=body, content_type=kind, headers=kept)


async def add_safe_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """A signal on every prepared response; what a handler has set itself stays."""
    for name, value in SAFE_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SERVER


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> Networks:
    return tuple(ip_network(text) for text in trusted)


@lru_cache(maxsize=8)
def _filter(trusted: tuple[str, ...]) -> XForwardedFiltered:
    return XForwardedFiltered(set(_networks(trusted)))


def _from_one_of(remote: str | None, networks: Networks) -> bool:
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return False
    return any(address in network for network in networks)
