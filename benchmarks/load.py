"""A small bounded HTTP load: keep-alive connections that ask one path again and again, and count. Loopback only."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import cast

TIME_LIMIT = 60.0  # seconds for one load


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

    def __init__(self, request: bytes, answers: int, expected: bytes) -> None:
        self._request, self._left, self._expected = request, answers, expected
        self._pending = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(self._request)

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
            self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))


async def ask(port: int, path: str, *, expected: bytes, connections: int, each: int) -> Load:
    """Sends `each` requests over each of `connections` connections to 127.0.0.1; `expected` starts each answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    askers = [
        (await loop.create_connection(lambda: _Asker(request, each, expected), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(TIME_LIMIT):
        await asyncio.gather(*(asker.done for asker in askers))
    return Load(connections * each, time.perf_counter() - started)
