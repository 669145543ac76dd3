"""A proxy for TCP and Unix sockets that a test can make fail; knows nothing of what is spoken through it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_CHUNK = 1 << 14


@dataclass
class FaultProxy:
    """Forwards to one address. What is set here holds from the next chunk on, for open connections too.

    `port` is 0 for a Unix socket.
    """

    port: int
    refuse: bool = False  # new connections are closed at once
    silent: bool = False  # connections are taken, and nothing is ever said on them
    stall_after: int | None = None  # bytes from clients after which nothing is passed on, in either direction
    cut_after: int | None = None  # bytes from clients, of all connections together, after which all are cut
    instead: tuple[str, bytes] | None = None  # to what matches the one, clients get the other and the end
    garbage: bytes = b""  # said to clients in place of the next chunk, once
    slow: float = 0.0  # seconds after each byte that is said to clients
    sent: int = 0  # bytes that came from clients
    connections: int = 0  # that were ever tried
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Ends all connections without a goodbye, and refuses new ones."""
        self.refuse = True
        for writer in self._open:
            writer.transport.abort()


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Connect = Callable[[], Awaitable[_Streams]]
_Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def fault_proxy(host: str, port: int) -> AsyncIterator[FaultProxy]:
    """A proxy on 127.0.0.1 to `host:port`. Nothing of it is left at the end."""
    proxy = FaultProxy(0)
    connected = _forwarding(proxy, lambda: asyncio.open_connection(host, port))
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with _served(proxy, server):
        yield proxy


@asynccontextmanager
async def fault_socket(socket: Path, there: Path) -> AsyncIterator[FaultProxy]:
    """A proxy at the Unix socket `socket` to the one at `there`. Nothing of it is left at the end."""
    proxy = FaultProxy(0)
    connected = _forwarding(proxy, lambda: asyncio.open_unix_connection(there))
    async with _served(proxy, await asyncio.start_unix_server(connected, socket)):
        yield proxy
    socket.unlink(missing_ok=True)


def _forwarding(proxy: FaultProxy, connect: _Connect) -> _Connected:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        proxy.connections += 1
        proxy._tasks.add(task)
        proxy._open.add(writer)
        try:
            with suppress(asyncio.CancelledError):  # which asyncio would tell as an error
                await _forward(proxy, reader, writer, connect)
        finally:
            proxy._open.discard(writer)
            proxy._tasks.discard(task)
            writer.transport.abort()

    return connected


@asynccontextmanager
async def _served(proxy: FaultProxy, server: asyncio.Server) -> AsyncIterator[None]:
    try:
        yield
    finally:
        server.close()
        proxy.cut()
        for task in list(proxy._tasks):
            task.cancel()
        await asyncio.gather(*proxy._tasks, return_exceptions=True)


async def _forward(
    proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect: _Connect
) -> None:
    if proxy.refuse:
        return
    while proxy.silent:
        await asyncio.sleep(0.05)
    with suppress(OSError):
        there, back = await connect()
        proxy._open.add(back)
        try:
            up = asyncio.ensure_future(_pump(proxy, reader, back, answer=writer))
            down = asyncio.ensure_future(_pump(proxy, there, writer))
            try:
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                up.cancel()
                down.cancel()
                await asyncio.gather(up, down, return_exceptions=True)
        finally:
            proxy._open.discard(back)
            back.transport.abort()


async def _pump(
    proxy: FaultProxy,
    source: asyncio.StreamReader,
    target: asyncio.StreamWriter,
    *,
    answer: asyncio.StreamWriter | None = None,
) -> None:
    """With an `answer` what comes from `source` is a client's."""
    while chunk := await source.read(_CHUNK):
        while proxy.silent or (proxy.stall_after is not None and proxy.sent > proxy.stall_after):
            await asyncio.sleep(0.05)
        if answer is not None:
            if proxy.instead is not None and re.match(proxy.instead[0].encode(), chunk):
                answer.write(proxy.instead[1])
                await answer.drain()
                answer.write_eof()
                # Aborted with something unread, the connection would lose the answer too.
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        while await source.read(_CHUNK):
                            pass
                return
            proxy.sent += len(chunk)
            if proxy.cut_after is not None and proxy.sent > proxy.cut_after:
                proxy.cut()
                return
        elif proxy.garbage:
            chunk, proxy.garbage = proxy.garbage, b""
        elif proxy.slow:
            await _trickle(proxy, chunk[:-1], target)
            chunk = chunk[-1:]
        target.write(chunk)
        await target.drain()


async def _trickle(proxy: FaultProxy, chunk: bytes, target: asyncio.StreamWriter) -> None:
    for place in range(len(chunk)):
        target.write(chunk[place : place + 1])
        await target.drain()
        await asyncio.sleep(proxy.slow)
