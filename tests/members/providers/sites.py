"""Small local servers that answer like the real services, and what tests of providers ask with. Knows no test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from member_fakes import Listener
from yarl import URL

from members.providers.base import Tools
from members.providers.outward import public_connector


@dataclass
class Site:
    """A server on loopback with an answer for each raw path and query; 404 for all others."""

    url: str = ""
    answers: dict[str, web.Response | dict[str, object] | list[object] | bytes] = field(default_factory=dict)
    asked: list[web.Request] = field(default_factory=list)

    @property
    def host(self) -> str:
        return URL(self.url).authority

    def moved(self, path: str, location: str, status: int = 302) -> None:
        self.answers[path] = web.Response(status=status, headers={"Location": location})

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        found = self.answers.get(request.raw_path)
        if found is None:
            return web.Response(status=404)
        if isinstance(found, bytes):
            return web.Response(body=found)
        if isinstance(found, web.Response):
            return web.Response(status=found.status, headers=found.headers, body=found.body)
        return web.json_response(found)

    @property
    def paths(self) -> list[str]:
        return [request.raw_path for request in self.asked]


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    made = Site()
    app = web.Application()
    app.router.add_get("/{any:.*}", made.answer)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/")).rstrip("/")
        yield made


@asynccontextmanager
async def tools(told: Listener | None = None) -> AsyncIterator[Tools]:
    """As a member makes them: `public` refuses the very address that all sites of tests have."""
    async with (
        aiohttp.ClientSession() as http,
        aiohttp.ClientSession(connector=public_connector()) as public,
    ):
        yield Tools(http, public, told or Listener())
