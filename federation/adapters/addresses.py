"""Which addresses a host name means, and whether they belong to the internet at large. Connects to nothing."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an address of version 4


async def addresses_of(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, itself if it is one in whatever notation. Raises OSError when it has none."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an address is neither this machine's nor of a private, link-local, shared or reserved network.

    An address of version 6 that carries one of version 4 is judged by that one.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False  # such as one with a zone, which is link-local
    if isinstance(ip, ipaddress.IPv6Address):
        carried = ip.ipv4_mapped or ip.sixtofour
        if carried is None and ip in _NAT64:
            carried = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = carried or ip
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
