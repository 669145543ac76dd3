"""Who asks, and under which address they know us. Believes nothing that could do harm."""

from __future__ import annotations

import ipaddress
import re

from aiohttp import web

from members.web.keys import About

_HOST = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")


def client_ip(request: web.Request) -> str:
    """The visitor's address. A proxy in front is believed only when it is on this machine.

    The last entry of X-Forwarded-For is the one that this proxy itself wrote.
    """
    peer = request.remote or ""
    if not _is_loopback(peer):
        return peer
    named = request.headers.get("X-Real-Ip") or request.headers.get("X-Forwarded-For", "").rpartition(",")[2]
    try:
        return str(ipaddress.ip_address(named.strip()))
    except ValueError:
        return peer


def launch_host(request: web.Request, about: About) -> str:
    """The public base URL of launch links, with trailing slash: configured, or as the visitor called us."""
    if about.launch_host is not None:
        return about.launch_host
    scheme = request.scheme
    forwarded = request.headers.get("X-Forwarded-Proto", "")
    if forwarded in ("http", "https") and _is_loopback(request.remote or ""):
        scheme = forwarded
    host = request.host if _HOST.fullmatch(request.host) else "localhost"
    return f"{scheme}://{host}{about.base_url}"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
