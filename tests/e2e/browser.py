"""What a visitor's browser does on the pages of a federation and in a notebook.

With BINDER_SCREENSHOTS naming a folder, moments that tell the story are kept there as pictures.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from local_federation import Federation
from playwright.async_api import Page

LAUNCH_LIMIT = 120_000.0  # milliseconds, as everywhere in Playwright
SHOW_LIMIT = 60_000.0


async def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("BINDER_SCREENSHOTS"):
        await page.screenshot(path=Path(folder, f"{name}.png"))


async def run_cells(page: Page, count: int) -> None:
    """Runs the first cells of the open notebook as a user does, with Shift+Enter."""
    await page.locator(".jp-Notebook").wait_for(timeout=SHOW_LIMIT)
    await page.get_by_text("| Idle").wait_for(timeout=SHOW_LIMIT)  # the kernel, in the status bar
    await page.locator(".jp-Notebook .jp-Cell").first.click()
    for _ in range(count):
        await page.keyboard.press("Shift+Enter")


async def open_suggestion(page: Page, federation: Federation, title: str) -> None:
    await page.goto(federation.url)
    await picture(page, "front-page")
    await page.locator("a.suggestion", has_text=title).click()
    await page.wait_for_url(re.compile("/v2/git/"))
    await page.locator("#attempts strong").first.wait_for()
    await picture(page, "launching")
    await page.wait_for_url(re.compile("/user/"), timeout=LAUNCH_LIMIT)


async def shut_down(page: Page) -> None:
    """Ends the session whose page this is, with the rights that the page itself has."""
    await page.evaluate(
        """async () => {
            const base = location.pathname.match(/^.*?\\/user\\/[^/]+\\//)[0];
            const xsrf = document.cookie.match(/_xsrf=([^;]+)/)?.[1] ?? "";
            await fetch(base + "api/shutdown", {method: "POST", headers: {"X-XSRFToken": xsrf}});
        }"""
    )
