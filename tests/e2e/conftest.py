from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from local_federation import CONFIG, Federation
from playwright.async_api import Page, async_playwright


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """One federation for most tests, with a Prometheus beside it: what they do to it they undo, and `federation`
    waits for that."""
    folder = tmp_path_factory.mktemp("federation")
    federation = Federation(folder, config=f"prometheus: true\n{CONFIG}")
    try:
        federation.start()
        yield federation
        assert federation.end() == 0
        assert federation.leftovers() == []
    finally:
        federation.clean_up()


@pytest.fixture
async def federation(running: Federation) -> AsyncIterator[Federation]:
    await running.all_active()
    yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A visitor's connections; limited only by the tests themselves."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
def chromium() -> Path:
    path = Path("/usr/bin/chromium")
    assert path.exists(), "the browser tests need Chromium: apt-get install chromium"
    return path


@pytest.fixture
async def page(chromium: Path) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            yield await browser.new_page(viewport={"width": 1280, "height": 860})
        finally:
            await browser.close()
