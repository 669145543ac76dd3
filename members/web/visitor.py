"""Who asks, and under which address they know us. Believes nobody who is not known to tell the truth."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from aiohttp import web

from members.web.keys import ABOUT, About

Networks = tuple[IPv4Network | IPv6Network, ...]

_HOST = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")
_WITH_PORT = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](?::\d+)?|(?P<v4>[0-9.]+):\d+")


def client_ip(request: web.Request) -> str:
    """The visitor's address: the peer's, or what the proxies in front tell when the operator trusts them.

    Each proxy adds whom it heard from at the right end of X-Forwarded-For. The visitor is the first from there
    that is no proxy of ours; what stands further left is that visitor's own invention.
    """
    peer = request.remote or ""
    trusted = _networks(request.app[ABOUT].trusted_proxies)
    seen = address_of(peer)
    if seen is None or not _is_one_of(seen, trusted):
        return peer if seen is None else str(seen)
    told = [hop.strip() for line in request.headers.getall("X-Forwarded-For", ()) for hop in line.split(",")]
    for hop in reversed(told or [request.headers.get("X-Real-Ip", "").strip()]):
        address = address_of(hop)
        if address is None:
            break
        seen = address
        if not _is_one_of(address, trusted):
            break
    return str(seen)


def launch_host(request: web.Request, about: About) -> str:
    """The public base URL of launch links, with trailing slash: configured, or as the visitor called us."""
    if about.launch_host is not None:
        return about.launch_host
    scheme = request.scheme
    forwarded = request.headers.get("X-Forwarded-Proto", "")
    peer = address_of(request.remote or "")
    if forwarded in ("http", "https") and _is_one_of(peer, _networks(about.trusted_proxies)):
        scheme = forwarded
    return f"{scheme}://{_host(request)}{about.base_url}"


def site(request: web.Request, about: About) -> str:
    """Host and port under which launches are counted: of the configured links, or as the visitor called us."""
    return _host(request) if about.launch_host is None else urlsplit(about.launch_host).netloc


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address in a peer's name or a hop, with or without a port; None when there is none."""
    if found := _WITH_PORT.fullmatch(text):
        text = found["v6"] or found["v4"]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _host(request: web.Request) -> str:
    return request.host if _HOST.fullmatch(request.host) else "localhost"


def _is_one_of(address: IPv4Address | IPv6Address | None, networks: Networks) -> bool:
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> Networks:
    return tuple(ip_network(text) for text in trusted)
