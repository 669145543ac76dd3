"""The stage on a real server, and a real browser in front of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pages_stage as stage
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from playwright.async_api import Browser, Page, async_playwright

from federation.core.rules import Settings

Open = Callable[..., Awaitable["Seen"]]


@pytest.fixture
async def front_door(aiohttp_client: Any) -> TestClient[Any, Any]:
    return await aiohttp_client(
        stage.application(Settings(stage.MEMBERS, suggestions=stage.SUGGESTIONS), stage.pool(time.time()))
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield chromium
        await chromium.close()


@dataclass
class Seen:
    """A page, where it is, and every complaint of the browser about it."""

    page: Page
    base: str
    app: Any
    complaints: list[str] = field(default_factory=list)
    forgiven: str = "net::ERR"  # a connection that a scene breaks is the network's complaint, not the page's

    async def go(self, path: str) -> None:
        await self.page.goto(self.base + path, wait_until="domcontentloaded")

    async def text(self, selector: str) -> str:
        return (await self.page.inner_text(selector)).strip()


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser) -> AsyncIterator[Open]:
    """`await visit(path, settings=…, **context options)` opens a path of a front door of its own; whatever
    the browser complains about fails the test in the end."""
    opened: list[Seen] = []
    servers: list[TestServer] = []

    async def open_page(path: str, settings: Settings | None = None, **options: Any) -> Seen:
        settings = settings or Settings(stage.MEMBERS, suggestions=stage.SUGGESTIONS)
        app = stage.application(settings, stage.pool(time.time(), settings.members))
        server = TestServer(app)
        await server.start_server(shutdown_timeout=0.5)
        servers.append(server)
        page = await (await browser.new_context(**options)).new_page()
        page.set_default_timeout(20_000)
        seen = Seen(page, str(server.make_url("/")).rstrip("/"), app)
        page.on("console", lambda said: seen.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        opened.append(seen)
        await seen.go(path)
        return seen

    yield open_page
    for seen in opened:
        await seen.page.context.close()
        seen.app[stage.GATE].set()
    for server in servers:
        await server.close()
    assert [text for seen in opened for text in seen.complaints if seen.forgiven not in text] == []
