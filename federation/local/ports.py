"""Ports that nobody listens on. Knows nothing of who will use them."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from zlib import crc32

HOST = "127.0.0.1"
# Under the range that Linux and the BSDs take the source ports of outgoing connections from: a member that is
# started again then finds its port free, however many connections came and went meanwhile.
FIRST, LAST = 20000, 32000


class NoFreePort(Exception):
    """Every port that was allowed is taken."""


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen there now. Leftover connections of an earlier server do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def next_free(wanted: int, host: str = HOST, tries: int = 100, taken: Collection[int] = ()) -> int:
    """The wanted port or the next free one above it that is not `taken`. Raises NoFreePort."""
    for port in range(wanted, min(wanted + tries, 65536)):
        if port not in taken and is_free(port, host):
            return port
    raise NoFreePort(f"no free port from {wanted} to {min(wanted + tries, 65536) - 1} on {host}")


def choose(count: int, seed: str, taken: Collection[int] = ()) -> tuple[int, ...]:
    """`count` free ports, the same ones for the same seed while they stay free. Raises NoFreePort."""
    found: list[int] = []
    for port in _from(FIRST + crc32(seed.encode()) % (LAST - FIRST)):
        if len(found) == count:
            break
        if port not in taken and is_free(port):
            found.append(port)
    if len(found) < count:
        raise NoFreePort(f"fewer than {count} free ports from {FIRST} to {LAST - 1} on {HOST}")
    return tuple(found)


def _from(start: int) -> Iterator[int]:
    yield from range(start, LAST)
    yield from range(FIRST, start)
