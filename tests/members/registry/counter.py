"""A registry, token server, metadata server and helper for tests of logins and faults. Knows no test."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from members.adapters.registry import Place, Registry, open_registry
from members.core.facts import Fact

OCI = "application/vnd.oci.image.manifest.v1+json"
DIGEST = "sha256:" + "0" * 64
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def missing() -> web.Response:
    return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)


def manifest() -> web.Response:
    return web.json_response(
        {"schemaVersion": 2, "mediaType": OCI}, content_type=OCI, headers={"Docker-Content-Digest": DIGEST}
    )


def shown(request: web.Request) -> str:
    return request.headers.get("Authorization", "")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class Counter:
    """Has `images` (repository:tag); `guard` may answer first, `before` sees every question to the registry."""

    url: str = ""
    images: set[str] = field(default_factory=set)
    guard: Callable[[web.Request], web.Response | None] = lambda request: None
    before: Answer | None = None
    token: Answer | None = None
    asked: list[web.Request] = field(default_factory=list)
    tokens_asked: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def image(self, name: str) -> str:
        return f"{self.host}/{name}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.before is not None:
            return await self.before(request)
        if (refused := self.guard(request)) is not None:
            return refused
        return self.plain(request)

    def plain(self, request: web.Request) -> web.Response:
        """What a registry without any trouble says."""
        if request.path.endswith("/uploads/") and request.method == "POST":
            return web.Response(status=202, headers={"Location": f"{request.path}one"})
        if "/uploads/" in request.path:
            return web.Response(status=204)
        repository, _, tag = request.path.removeprefix("/v2/").partition("/manifests/")
        return manifest() if f"{repository}:{tag}" in self.images else missing()

    async def give_token(self, request: web.Request) -> web.StreamResponse:
        self.tokens_asked.append(request)
        self.bodies.append(await request.read())
        assert self.token is not None
        return await self.token(request)


@asynccontextmanager
async def counter() -> AsyncIterator[Counter]:
    made = Counter()
    app = web.Application()
    app.router.add_route("*", "/token", made.give_token)
    app.router.add_route("*", "/{any:.*}", made.answer)
    async with TestServer(app, handler_cancellation=True) as server:
        made.url = str(server.make_url("/")).rstrip("/")
        yield made


@asynccontextmanager
async def opened(
    counter: Counter, folder: Path, told: list[Fact] | None = None, **more: object
) -> AsyncIterator[Registry]:
    given = {
        "kind": "distribution",
        "url": counter.url,
        "image_prefix": f"{counter.host}/binder-",
        "docker_config": folder,
        "timeout": 3.0,
        **more,
    }
    async with open_registry(Place(**given), (told if told is not None else []).append) as registry:  # type: ignore[arg-type]
        yield registry


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError("the test has a limit")
