"""What a visitor with a browser does: open the page, click, see a notebook, run a cell."""

from __future__ import annotations

import re

import pytest
from browser import LAUNCH_LIMIT, SHOW_LIMIT, open_suggestion, picture, run_cells, shut_down
from local_federation import Federation
from playwright.async_api import Page, expect

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_the_first_suggestion_is_a_notebook_whose_cell_runs(federation: Federation, page: Page) -> None:
    await page.goto(federation.url)
    await expect(page.locator("a.suggestion").first).to_contain_text("A plain notebook")
    await open_suggestion(page, federation, "A plain notebook")
    await run_cells(page, 2)
    await expect(page.locator(".jp-OutputArea-output").first).to_have_text("2", timeout=SHOW_LIMIT)
    await picture(page, "notebook")
    await shut_down(page)


async def test_numpy_and_matplotlib_draw(federation: Federation, page: Page) -> None:
    await open_suggestion(page, federation, "numpy and matplotlib")
    await run_cells(page, 4)
    drawing = page.locator(".jp-OutputArea-output img").first
    await drawing.wait_for(timeout=SHOW_LIMIT)
    await drawing.scroll_into_view_if_needed()
    await picture(page, "numpy-plot")
    await shut_down(page)


async def test_the_web_app_shows_its_dashboard(federation: Federation, page: Page) -> None:
    await open_suggestion(page, federation, "A web app")
    await expect(page.locator("h1")).to_have_text("A year of weather", timeout=SHOW_LIMIT)
    assert await page.locator("svg circle").count() == 365
    await page.get_by_role("button", name="Draw").click()
    await expect(page.locator("output")).to_have_text("14")
    assert re.search(r"/user/[^/]+/weather/\?days=14$", page.url), page.url
    await picture(page, "web-app")
    await shut_down(page)


async def test_a_killed_builder_ends_in_a_notebook_on_the_other_member(
    federation: Federation, page: Page
) -> None:
    spec = federation.repository("clicked", postBuild="#!/bin/sh\necho half-way; sleep 4\n")
    await page.goto(f"{federation.url}/v2/{spec}")
    await expect(page.locator("#log-lines")).to_contain_text("half-way", timeout=LAUNCH_LIMIT)
    first = await page.locator("#attempts strong").first.inner_text()
    federation.kill(first)
    await expect(page.locator("#attempts li")).to_have_count(2, timeout=SHOW_LIMIT)
    await picture(page, "handed-over")
    await page.wait_for_url(re.compile("/user/"), timeout=LAUNCH_LIMIT)
    (other,) = (member for name, member in federation.members.items() if name != first)
    assert page.url.startswith(other["hub_url"])
    await page.locator("#jupyterlab-splash, .jp-Launcher, .jp-FileBrowser").first.wait_for(timeout=SHOW_LIMIT)
    await shut_down(page)
