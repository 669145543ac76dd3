"""A launch page that is refreshed, or loses its connection, in a real browser before a real front door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from door_stage import FAST, READY, SPEC, Door, StockMember, until
from our_member import OurMember
from playwright.async_api import Browser, Page, expect

from federation.core.rules import Mode

# One browser for the whole module, so one event loop too.
pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]
LAUNCH = SPEC.replace("/build/", "/v2/")
NOTEBOOK = f"{READY['url']}**"


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context()
    await context.route(NOTEBOOK, lambda route: route.fulfill(body="<title>Notebook</title>"))
    yield await context.new_page()
    await context.close()


# As our own members answer; a stock BinderHub allows no id, and sends none.
OPEN = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "cache-control, last-event-id"}


async def test_a_refresh_joins_the_running_launch(page: Page) -> None:
    play = OurMember(held=6)
    async with StockMember("alpha", play) as alpha, Door(alpha.configured()) as door:
        await page.goto(str(door.url.with_path(LAUNCH)))
        await expect(page.locator("#log-lines")).to_contain_text("line 3")
        for _ in range(3):
            await page.reload()
            await expect(page.locator("#log-lines")).to_contain_text("line 0line 1line 2line 3")
            await expect(page.locator("#attempts li")).to_have_count(1)
        play.gate.set()
        await page.wait_for_url(NOTEBOOK)
        assert play.begun == 1
        metrics = await door.text("/metrics")
        assert 'federation_launches_total{cause="ready",member="alpha",outcome="ready"} 1.0' in metrics
        assert "abandoned" not in metrics
        await page.goto(str(door.url.with_path(LAUNCH)))  # that launch is over: this is another one
        await page.wait_for_url(NOTEBOOK)
        assert play.begun == 2


async def test_a_lost_connection_goes_on_where_it_was(page: Page) -> None:
    play = OurMember(held=6)
    async with StockMember("alpha", play) as alpha, Door(alpha.configured()) as door:
        await page.goto(str(door.url.with_path(LAUNCH)))
        await expect(page.locator("#log-lines")).to_contain_text("line 3")
        for connection in list(door.runner.server.connections):  # type: ignore[union-attr]
            if connection.transport is not None:
                connection.transport.abort()
        await expect(page.locator("#log-lines")).to_contain_text("connecting again")
        await until(lambda: play.resumed)
        play.held = 8
        play.gate.set()
        await page.wait_for_url(NOTEBOOK)
    assert play.begun == 1


async def test_a_launch_at_the_member_itself_goes_on_there(page: Page) -> None:
    """In redirect mode: the front door would begin a launch anew wherever it likes."""
    play = OurMember(held=6)
    rules = replace(FAST, mode=Mode.REDIRECT)
    async with StockMember("alpha", play) as alpha, Door(alpha.configured(), launch=rules) as door:
        alpha.headers = OPEN
        await page.goto(str(door.url.with_path(LAUNCH)))
        await expect(page.locator("#log-lines")).to_contain_text("line 3")
        await page.reload()
        await until(lambda: play.resumed)
        await expect(page.locator("#log-lines")).to_contain_text("line 0line 1line 2line 3")
        alpha.cut()
        await until(lambda: len(play.resumed) == 2)
        play.gate.set()
        await page.wait_for_url(NOTEBOOK)
        assert play.begun == 1 and play.resumed[0].endswith(".0") and play.resumed[1].endswith(".5")
        assert 'outcome="redirected"} 1.0' in await door.text("/metrics")


async def test_a_member_that_is_gone_is_not_asked_for_ever(page: Page) -> None:
    play = OurMember(held=6)
    rules = replace(FAST, mode=Mode.REDIRECT)
    async with StockMember("alpha", play) as alpha, StockMember("beta", OurMember()) as beta:
        alpha.headers = beta.headers = OPEN
        async with Door(alpha.configured(1e9), beta.configured(1e-9), launch=rules) as door:
            await page.goto(str(door.url.with_path(LAUNCH)))
            await expect(page.locator("#log-lines")).to_contain_text("line 3")
            await alpha.die()
            await page.wait_for_url(NOTEBOOK)
            assert len(beta.requests) == 1
