"""What every request passes: who asks and at which address, how errors look, safe headers.

Knows no launch and no member.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import orjson
from aiohttp import web

from federation.web.keys import RUNNING

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Networks = tuple[IPv4Network | IPv6Network, ...]

SERVER = "binder-federation"  # and not which library in which version
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
WITH_PORT = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](?::\d+)?|(?P<v4>[0-9.]+):\d+")


@web.middleware
async def addressed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Believes X-Forwarded-* from the proxies that the operator listed, and from nobody else.

    Every handler after it finds a host that can stand in a URL: what is none is refused, and for a request
    without one it is the address that the request reached.
    """
    trusted = request.app[RUNNING].settings.trusted_proxies
    told = _forwarded(request, _networks(trusted)) if trusted else {}
    host = told.get("host") or request.headers.get("Host") or _reached(request)
    if not HOST.fullmatch(host):
        raise web.HTTPBadRequest(reason="The Host header names no host")
    if told or "Host" not in request.headers:
        request = request.clone(**{**told, "host": host})
    return await handler(request)


@web.middleware
async def plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """HTTP errors as JSON for programs and as a line of text for the rest; redirects stay what they are. What is below
    `/federation/` is for programs alone."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        message = error.reason
        if "json" in request.headers.get("Accept", "") or request.path.startswith("/federation/"):
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


def _forwarded(request: web.Request, trusted: Networks) -> dict[str, Any]:
    """What the proxies in front tell of the visitor, as arguments for `Request.clone`; empty if they are none.

    Each proxy adds whom it heard from at the right end. The visitor is the first from there that is no proxy
    of ours; what stands further left is that visitor's own invention.
    """
    if not _is_one_of(_address(request.remote or ""), trusted):
        return {}
    told: dict[str, Any] = {}
    hops = 0
    for hops, text in enumerate(reversed(_listed(request, "X-Forwarded-For"))):  # noqa: B007
        address = _address(text)
        if address is None:
            break
        told["remote"] = str(address)
        if not _is_one_of(address, trusted):
            break
    schemes, hosts = _listed(request, "X-Forwarded-Proto"), _listed(request, "X-Forwarded-Host")
    if schemes and (scheme := schemes[-1 - min(hops, len(schemes) - 1)].lower()) in ("http", "https"):
        told["scheme"] = scheme
    if hosts and (host := hosts[-1 - min(hops, len(hosts) - 1)]):
        told["host"] = host
    return told


def _listed(request: web.Request, name: str) -> list[str]:
    """A list header's members; several lines of it are one list."""
    return [part.strip() for line in request.headers.getall(name, ()) for part in line.split(",")]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in a peer's name or a hop, with or without a port."""
    if found := WITH_PORT.fullmatch(text):
        text = found["v6"] or found["v4"]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_one_of(address: IPv4Address | IPv6Address | None, networks: Networks) -> bool:
    return address is not None and any(address in network for network in networks)


def _reached(request: web.Request) -> str:
    """The address of our end of the connection; the library would ask the name service for it."""
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    if not isinstance(name, tuple):
        return "localhost"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> Networks:
    return tuple(ip_network(text) for text in trusted)
