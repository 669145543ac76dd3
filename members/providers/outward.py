"""Connections that reach public addresses only, for URLs that a visitor had a hand in. Knows no provider.

The address is looked at when the connection is made, not when a name is looked up beforehand: a name that
means another address a moment later gains nothing by it.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import aiohttp

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotPublic(OSError):
    """The address belongs to this machine or to a private network."""


def public_connector() -> aiohttp.TCPConnector:
    """A connector for a session that can reach public addresses only; others are NotPublic."""
    return aiohttp.TCPConnector(socket_factory=_public_socket)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet at large: no loopback, private, link-local, ... address.

    Addresses of version 6 that stand for one of version 4 are as public as that one.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        meant = ip.ipv4_mapped or ip.sixtofour
        if meant is None and ip in _NAT64:
            meant = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = meant or ip
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _public_socket(address: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
    family, kind, protocol, _, (host, *_port) = address
    if not is_public(host):
        raise NotPublic("the address is not public")
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made
