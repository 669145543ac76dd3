"""A whole member on a fake world, started as `serve` starts it, with a page where its sessions would be."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.test_utils import TestServer
from member_fakes import FakeBuilder, FakeHub, FakeStore, until

from members.app import serve
from members.core.facts import Tell
from members.runtimes.world import World
from members.service.ports import Login
from members.settings import Settings, parse

_HEAD = '<title>Notebook</title><link rel="icon" href="data:,">'
SPEC = f"git/{quote('https://host/repo', safe='')}/{'a' * 40}"


class RunningMember:
    """Where a member answers, and the fakes behind it."""

    def __init__(self, settings: Settings, **ports: Any) -> None:
        """`ports` are `store`, `hub`, `builder` and `login` that take a fake's place."""
        self.settings = settings
        self.store, self.hub = FakeStore(), FakeHub()
        self.builder = FakeBuilder(self.store)
        self.login: Login | None = None
        vars(self).update(ports)

    @property
    def url(self) -> str:
        return self.settings.url

    @asynccontextmanager
    async def world(self, settings: Settings, tell: Tell) -> AsyncIterator[World]:
        lost = asyncio.Event().wait
        yield World(self.store, self.builder, self.hub, "none", lost, login=self.login)  # type: ignore[arg-type]


@asynccontextmanager
async def running_member(folder: Path, text: str = "", **ports: Any) -> AsyncIterator[RunningMember]:
    """A member with this configuration; its sessions all show the address that was asked for."""
    member = RunningMember(parse(f"port: {free_port()}\n{text}", folder / "member.yaml", {}), **ports)
    notebooks = web.Application()
    notebooks.router.add_get("/user/{path:.*}", _notebook)
    async with TestServer(notebooks) as hub:
        if isinstance(member.hub, FakeHub):
            member.hub.url = str(hub.make_url("/"))
        announced: list[str] = []
        stop = asyncio.Event()
        task = asyncio.create_task(serve(member.settings, member.world, announce=announced.append, stop=stop))
        try:
            await until(lambda: announced or task.done(), limit=20)
            yield member
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)


async def _notebook(request: web.Request) -> web.Response:
    return web.Response(text=f"{_HEAD}{request.path_qs}", content_type="text/html")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
