"""The sockets on which visitors arrive, bound once for all processes. Knows no process."""

from __future__ import annotations

import socket

BACKLOG = 1024


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of this host, all on one port; 0 takes a free one. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            bound.append(one)
            one.setblocking(False)  # a worker that was not quick enough must not wait in accept
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], port, *address[2:]))
            port = one.getsockname()[1]
            one.listen(BACKLOG)
    except BaseException:
        for one in bound:
            one.close()
        raise
    return bound
