"""Makes the pictures of the console, its login and the archive in docs/images: `make screenshots`. The front door of
the console's tests is started, launched on and drained for them."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from console_stage import ConsoleScene, console_scene
from playwright.async_api import Browser, Page, async_playwright, expect

DESK = {"width": 1320, "height": 1180}
SMALL = {"width": 900, "height": 520}
PHONE = {"width": 390, "height": 844}
LONG = 14.0  # seconds of launches before the first picture, so that the chart has lines


async def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as state:
        await _pictures(Path(state), folder)


async def _pictures(state: Path, folder: Path) -> None:
    async with console_scene(state) as scene, async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        try:
            for scheme in ("light", "dark"):
                await _desk(scene, chromium, scheme, folder)
            await _phone(scene, chromium, folder)
            await _public(scene, chromium, folder)
        finally:
            await chromium.close()


async def _desk(scene: ConsoleScene, chromium: Browser, scheme: str, folder: Path) -> None:
    page = await _page(scene, chromium, scheme, DESK)
    await scene.patch("ovh", "another-token", state="active")
    async with asyncio.TaskGroup() as group:
        group.create_task(_launches(scene))
        await asyncio.sleep(LONG / 2)
        await scene.patch("ovh", "another-token", state="drained", reason="kernel update")
    await page.locator("#figure").select_option("expected")
    await page.locator("#decisions summary").first.click()
    await page.evaluate("scrollTo(0, 0)")
    await page.screenshot(
        path=folder / f"console-{scheme}.png", clip={"x": 0, "y": 0, "width": 1320, "height": 1180}
    )
    await page.locator('tr[data-member="gesis"] [data-act="weight"]').click()
    dialog = page.get_by_role("dialog", name="Weight of gesis")
    await dialog.get_by_label("Weight", exact=True).fill("240")
    await dialog.get_by_label("Reason").fill("new machines")
    await expect(dialog.locator("#predicted tr")).to_have_count(3)
    if scheme == "light":
        await dialog.screenshot(path=folder / "console-weight.png")
    await page.context.close()


async def _phone(scene: ConsoleScene, chromium: Browser, folder: Path) -> None:
    for scheme in ("light", "dark"):
        page = await _page(scene, chromium, scheme, PHONE)
        await page.screenshot(path=folder / f"console-phone-{scheme}.png")
        await page.context.close()


async def _public(scene: ConsoleScene, chromium: Browser, folder: Path) -> None:
    """What is seen without a token."""
    for scheme in ("light", "dark"):
        page = await _page(scene, chromium, scheme, SMALL)
        await page.context.clear_cookies()
        for name, path in (("login", "operator"), ("archive", "archive/")):
            await page.goto(f"{scene.base}/{path}")
            await page.screenshot(path=folder / f"{name}-{scheme}.png")
        await page.context.close()


async def _launches(scene: ConsoleScene) -> None:
    """Some repositories a second, as visitors come."""
    for second in range(int(LONG)):
        await scene.visit(*(f"binder-examples/repository-{second}{letter}/HEAD" for letter in "ab"))
        await asyncio.sleep(1)


async def _page(scene: ConsoleScene, chromium: Browser, scheme: str, size: dict[str, int]) -> Page:
    context = await chromium.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport=size,  # type: ignore[arg-type]
    )
    await context.add_cookies([scene.cookie()])  # type: ignore[list-item]
    page = await context.new_page()
    await page.goto(f"{scene.base}/operator")
    await expect(page.locator('tr[data-member="gesis"]')).to_be_visible()
    return page


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
