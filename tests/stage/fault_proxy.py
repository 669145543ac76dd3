"""A TCP proxy that a test can make fail; knows nothing of what is spoken through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_CHUNK = 1 << 14


@dataclass
class FaultProxy:
    """Forwards to one address. What is set here holds from the next chunk on, for open connections too."""

    port: int
    refuse: bool = False  # new connections are closed at once
    silent: bool = False  # connections are taken, and nothing is ever said on them
    stall_after: int | None = None  # bytes from clients after which nothing is passed on, in either direction
    cut_after: int | None = None  # bytes from clients, of all connections together, after which all are cut
    sent: int = 0  # bytes that came from clients
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


@asynccontextmanager
async def fault_proxy(host: str, port: int) -> AsyncIterator[FaultProxy]:
    """A proxy on 127.0.0.1 to `host:port`. Nothing of it is left at the end."""
    proxy = FaultProxy(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        proxy._tasks.add(task)
        proxy._open.add(writer)
        try:
            await _forward(proxy, reader, writer, host, port)
        finally:
            proxy._open.discard(writer)
            proxy._tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        for task in list(proxy._tasks):
            task.cancel()
        await asyncio.gather(*proxy._tasks, return_exceptions=True)


async def _forward(
    proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    if proxy.refuse:
        return
    while proxy.silent:
        await asyncio.sleep(0.05)
    with suppress(OSError):
        there, back = await asyncio.open_connection(host, port)
        proxy._open.add(back)
        try:
            up = asyncio.ensure_future(_pump(proxy, reader, back, count=True))
            down = asyncio.ensure_future(_pump(proxy, there, writer, count=False))
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
    proxy: FaultProxy, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, count: bool
) -> None:
    while chunk := await source.read(_CHUNK):
        while proxy.silent or (proxy.stall_after is not None and proxy.sent > proxy.stall_after):
            await asyncio.sleep(0.05)
        if count:
            proxy.sent += len(chunk)
            if proxy.cut_after is not None and proxy.sent > proxy.cut_after:
                proxy.cut()
                return
        target.write(chunk)
        await target.drain()
