"""Small bounded HTTP loads on 127.0.0.1: connections that ask again and again, and streams that are read.

Both are written for little work of their own, since they share the machine with what they measure.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import cast

TIME_LIMIT = 120.0  # seconds for one load
STAMP = re.compile(rb'"message": "(\d+)')


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one run: answers and how long they took together, in seconds."""

    answers: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


class _Asker(asyncio.Protocol):
    """One connection. It counts answers by their header's end, so the served answers must have no body."""

    def __init__(self, requests: Iterator[bytes], answers: int, expected: bytes) -> None:
        self._requests, self._left, self._expected = requests, answers, expected
        self._pending = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head, self._pending = self._pending[:end], self._pending[end + 4 :]
            if not head.startswith(self._expected):
                self.done.set_exception(RuntimeError(f"unexpected answer: {head[:80]!r}"))
                self._transport.abort()
                return
            self._left -= 1
            if self._left == 0:
                self.done.set_result(None)
                self._transport.close()
                return
            self._transport.write(next(self._requests))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))


async def ask(port: int, paths: Iterator[str], *, expected: bytes, connections: int, each: int) -> Load:
    """Sends `each` requests over each of `connections` connections; `expected` starts each answer."""
    requests = (_request(port, path) for path in paths)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    askers = [
        (await loop.create_connection(lambda: _Asker(requests, each, expected), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(TIME_LIMIT):
        await asyncio.gather(*(asker.done for asker in askers))
    return Load(connections * each, time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Heard:
    """One event: when the member wrote it, and how long it took until it was read, both in nanoseconds."""

    sent: int
    delay: int


class _Reader(asyncio.Protocol):
    """One event stream, read until `ready`. It looks for the events' stamps and at nothing else."""

    def __init__(self, request: bytes, heard: list[Heard]) -> None:
        self._request, self._heard = request, heard
        self._pending = self._last = b""
        self.ended = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        whole, _, self._pending = (self._pending + data).rpartition(b"\n")
        self._last = whole[-300:]
        for stamp in STAMP.findall(whole):
            sent = int(stamp)
            self._heard.append(Heard(sent, now - sent))
        if b'"phase": "ready"' in whole and not self.done.done():
            self.ended = now
            self.done.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError(f"a stream ended before `ready`: {self._last!r}"))


async def listen(port: int, paths: Iterator[str], *, streams: int, within: float) -> list[Heard]:
    """Opens `streams` event streams, evenly within so many seconds, and reads each to its end.

    Only what was sent while all of them were open counts.
    """
    loop = asyncio.get_running_loop()
    heard: list[Heard] = []
    readers = []
    async with asyncio.timeout(TIME_LIMIT):
        begun = loop.time()
        for number in range(streams):
            await asyncio.sleep(begun + number * within / streams - loop.time())
            request = _request(port, next(paths))
            make = lambda request=request: _Reader(request, heard)  # noqa: E731
            readers.append((await loop.create_connection(make, "127.0.0.1", port))[1])
        opened = time.monotonic_ns()
        await asyncio.gather(*(reader.done for reader in readers))
    closed = min(reader.ended for reader in readers)
    return [event for event in heard if opened < event.sent < closed]


def new_paths() -> Iterator[str]:
    """Launches that were never asked for before."""
    return (f"/build/gh/somebody/never-seen-{number}/HEAD" for number in count())


def _request(port: int, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n".encode()
