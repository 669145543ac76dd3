"""What tests let a Prometheus or a front door read: a BinderHub's series, and servers that break in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.aiohttp import make_aiohttp_handler

BUCKETS = (2, 5, 10, 20, 30, 60, 120, 300, 600, float("inf"))

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Exporter:
    """One member's metrics on loopback, under the names and labels of a stock BinderHub. `async with` it."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._runner: web.AppRunner | None = None
        self.renew()

    def renew(self, statuses: tuple[str, ...] = ("success", "failure", "retry")) -> None:
        """All counters begin anew, as those of a process that was started again; it has ended launches of these
        statuses."""
        self.registry = CollectorRegistry()
        self._times = Histogram(
            "binderhub_launch_time_seconds",
            "t",
            ["status", "retries"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.gauge("binderhub_inprogress_builds", 1)
        self.gauge("binderhub_inprogress_launches", 2)
        for status in statuses:
            self._of(status)

    def launched(self, *seconds: float, status: str = "success") -> None:
        for one in seconds:
            self._of(status).observe(one)

    def _of(self, status: str) -> Histogram:
        return self._times.labels(status, "0" if status == "success" else "-1")

    def gauge(self, name: str, value: float, **labels: str) -> None:
        gauge = Gauge(name, "g", list(labels), registry=self.registry)
        (gauge.labels(**labels) if labels else gauge).set(value)

    async def __aenter__(self) -> Exporter:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.die()

    async def die(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        return await make_aiohttp_handler(self.registry)(request)


@asynccontextmanager
async def raw_server(serve: Serve) -> AsyncIterator[str]:
    """The URL of a server that speaks as it likes. Its open connections end with the block."""
    open_: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            open_.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in open_:
            task.cancel()


def answering(raw: bytes, *, hold: bool = False) -> Serve:
    """These bytes to every request, then the end, or silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        if hold:
            await reader.read()

    return serve


def trickling(start: bytes) -> Serve:
    """These bytes, then one more byte ten times a second for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.1)

    return serve
