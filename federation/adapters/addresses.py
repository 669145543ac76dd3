"""Which addresses a host name means, and whether they belong to the internet at large. Connects to nothing."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an address of version 4


async def addresses_of(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, itself if it is one in whatever notation. Raises OSError when it has none.

    It is looked up in a thread of its own: a loop has few threads for that, uvloop four, and each connection to a
    member needs one as well. Four silent name servers of hosts that visitors chose would keep all members away. When
    the answer is given up the thread ends with the system's own limit, and nobody waits for it.
    """
    answer: Future[Sequence[str]] = Future()
    Thread(target=_look_up, args=(answer, host, port), name=f"address of {host}", daemon=True).start()
    return await asyncio.wrap_future(answer)


def _look_up(answer: Future[Sequence[str]], host: str, port: int) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except Exception as error:  # it is the one who asked that handles it
        answer.set_exception(error)
    else:
        answer.set_result(tuple(dict.fromkeys(str(address[0]) for *_, address in found)))


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
