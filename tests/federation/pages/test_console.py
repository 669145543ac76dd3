"""The operators' console in a real browser, in front of a real front door: what operators see, and what they do."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from console_stage import OPERATOR, VIEWER, ConsoleScene, console_scene
from playwright.async_api import Browser, Page, expect

expect.set_options(timeout=20_000)  # the machine that decides is busy
pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]
HERE = Path(__file__).parent
AXE = Path(sys.prefix) / "share" / "binder-federation-tests" / "axe.min.js"
PHONE = {"width": 390, "height": 844}
GRAVE = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`);
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ConsoleScene]:
    async with console_scene(tmp_path_factory.mktemp("state")) as scene:
        yield scene


@asynccontextmanager
async def context(
    scene: ConsoleScene, browser: Browser, token: str = OPERATOR, **options: Any
) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page of somebody logged in with this token, and what the browser complains about, which is to be nothing."""
    complaints: list[str] = []
    made = await browser.new_context(**options)
    if token:
        await made.add_cookies([scene.cookie(token)])  # type: ignore[list-item]
    page = await made.new_page()
    page.set_default_timeout(20_000)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page, complaints
    finally:
        await made.close()
    assert complaints == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(scene: ConsoleScene, browser: Browser) -> AsyncIterator[Page]:
    """The console of an operator on a desk, open through all tests of this module."""
    async with context(scene, browser, viewport={"width": 1280, "height": 900}) as (page, complaints):
        await page.goto(f"{scene.base}/operator")
        await expect(row(page, "gesis")).to_be_visible()
        await expect(page.locator("#freshness")).to_contain_text("Live")
        yield page
        complaints[:] = [text for text in complaints if "status of 412" not in text]


def row(page: Page, name: str) -> Any:
    return page.locator(f'tr[data-member="{name}"]')


def slot(page: Page, name: str, of: str) -> Any:
    return row(page, name).locator(f'[data-slot="{of}"]')


async def faults(page: Page) -> list[str]:
    """What axe-core finds that is serious or worse."""
    await page.evaluate(AXE.read_text())
    return list(await page.evaluate(GRAVE))


async def test_everything_is_seen_at_a_glance(console: Page) -> None:
    await expect(slot(console, "gesis", "state")).to_have_text("Takes launches")
    await expect(slot(console, "gesis", "weight")).to_have_text("180")
    await expect(slot(console, "gesis", "effective")).to_contain_text("effective 180")
    await expect(slot(console, "gesis", "expected")).to_have_text("33 %")
    await expect(slot(console, "gesis", "seats")).to_have_text("48 of 180 in use")
    await expect(slot(console, "gesis", "looked")).to_contain_text("seen")
    await expect(slot(console, "gesis", "builds")).to_have_text("2 builds under way")
    await row(console, "gesis").get_by_text("Signals of gesis").click()
    await expect(slot(console, "gesis", "signals")).to_contain_text(re.compile(r"JupyterHub API\s*works"))
    await expect(slot(console, "gesis", "signals")).to_contain_text(re.compile(r"launches\s*31, .* old"))
    await row(console, "gesis").get_by_text("Versions of gesis").click()
    await expect(slot(console, "gesis", "versions")).to_contain_text("repo2docker:2026.4.0")
    await expect(console.locator("#chart canvas")).to_be_visible()
    await expect(console.locator("#chart-says")).to_contain_text("gesis 33 %")


async def test_a_member_that_falls_out_is_shown_and_told_at_once(scene: ConsoleScene, console: Page) -> None:
    await row(console, "ovh").get_by_role("button", name="Weight of ovh").focus()
    before = scene.members["ovh"].told
    scene.members["ovh"].told = b"no JSON"
    await expect(slot(console, "ovh", "state")).to_have_text("Out of service")
    await expect(slot(console, "ovh", "expected")).to_have_text("0 %")
    await expect(console.locator("#news")).to_contain_text("ovh: Out of service")
    # What people had in hand is still there.
    await expect(row(console, "ovh").get_by_role("button", name="Weight of ovh")).to_be_focused()
    await expect(row(console, "gesis").locator("details").nth(1)).to_have_attribute("open", "")
    scene.members["ovh"].told = before
    await expect(slot(console, "ovh", "state")).to_have_text("Takes launches")


async def test_a_weight_shows_what_it_would_do_and_is_saved(scene: ConsoleScene, console: Page) -> None:
    await row(console, "gesis").get_by_role("button", name="Weight of gesis").click()
    dialog = console.get_by_role("dialog", name="Weight of gesis")
    await dialog.get_by_label("Weight", exact=True).fill("360")
    then = dialog.locator("#predicted tr")
    await expect(then.nth(1)).to_have_text(re.compile(r"gesis\s*33 %\s*50 %"))
    await expect(then.nth(0)).to_have_text(re.compile(r"hetzner-2i2c\s*56 %\s*42 %"))
    await expect(dialog.get_by_label("Or drag it")).to_have_value("360")
    await dialog.get_by_label("Or drag it").press("Home")
    await expect(then.nth(1)).to_have_text(re.compile(r"gesis\s*33 %\s*0 %"))
    await dialog.get_by_label("Weight", exact=True).fill("360")
    await dialog.get_by_label("Reason").fill("new machines")
    await dialog.get_by_label("Ends by itself").select_option("in an hour")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    await expect(slot(console, "gesis", "weight")).to_have_text("360")
    await expect(slot(console, "gesis", "configured")).to_have_text("configured 180")
    await expect(slot(console, "gesis", "expected")).to_have_text("50 %")
    await expect(slot(console, "gesis", "set")).to_contain_text("weight 360 by Olga, new machines, until")
    await expect(row(console, "gesis").get_by_role("button", name="Weight of gesis")).to_be_focused()


async def test_who_comes_second_is_told_and_loses_nothing(scene: ConsoleScene, console: Page) -> None:
    async with console.expect_response("**/federation/v1/members/gesis"):
        await row(console, "gesis").get_by_role("button", name="Weight of gesis").click()
    dialog = console.get_by_role("dialog", name="Weight of gesis")
    await dialog.get_by_label("Weight", exact=True).fill("90")
    await dialog.get_by_label("Reason").fill("disk is full")
    await scene.patch("gesis", "another-token", weight=200, reason="maintenance")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Meanwhile Oskar set its weight to 200")
    await expect(dialog.get_by_role("alert")).to_contain_text("(maintenance)")
    await expect(dialog.get_by_label("Weight", exact=True)).to_have_value("90")
    await expect(dialog.get_by_label("Reason")).to_have_value("disk is full")
    await dialog.get_by_role("button", name="Save").click()
    await expect(slot(console, "gesis", "set")).to_contain_text("weight 90 by Olga, disk is full")
    await row(console, "gesis").get_by_role("button", name="Weight of gesis").click()
    await dialog.get_by_role("button", name="Back to the configuration").click()
    await expect(slot(console, "gesis", "weight")).to_have_text("180")
    await expect(slot(console, "gesis", "set")).to_be_hidden()


async def test_a_drain_and_its_end_with_the_keyboard_alone(scene: ConsoleScene, console: Page) -> None:
    await row(console, "ovh").get_by_role("button", name="Weight of ovh").focus()
    await console.keyboard.press("Tab")
    await console.keyboard.press("Enter")
    dialog = console.get_by_role("dialog", name="Drain ovh")
    await expect(dialog.get_by_label("Reason")).to_be_focused()
    await console.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_contain_text("Say why")
    await console.keyboard.type("kernel update")
    await console.keyboard.press("Tab")
    await console.keyboard.type("in 10")  # chooses the option that begins so
    await console.keyboard.press("Tab")
    await console.keyboard.press("Enter")
    await expect(slot(console, "ovh", "state")).to_have_text("Drained by its operators")
    await expect(slot(console, "ovh", "set")).to_contain_text("drained by Olga, kernel update, until")
    await expect(slot(console, "ovh", "expected")).to_have_text("0 %")
    await expect(console.locator("#news")).to_contain_text("ovh")
    await expect(row(console, "ovh").get_by_role("button", name="Undrain ovh")).to_be_focused()


async def test_a_drained_member_is_tested_and_its_weight_tells_no_share(
    scene: ConsoleScene, console: Page
) -> None:
    await scene.patch("ovh", "another-token", state="drained", reason="kernel update")
    await expect(slot(console, "ovh", "state")).to_have_text("Drained by its operators")
    tester = console.locator("section", has=console.locator("#test"))
    await tester.get_by_label("Member", exact=True).select_option("ovh")
    await tester.get_by_label("Launch, as").fill("gh/binder-examples/requirements/HEAD")
    count = len(scene.members["ovh"].requests)
    await tester.get_by_role("button", name="Launch").click()
    await expect(console.locator("#test-now")).to_contain_text("The launch was ready on ovh after")
    await expect(console.locator("#test-now")).to_contain_text("asked to end itself")
    await expect(console.locator("#test-phases dt")).to_have_text(
        ["connecting", "fetching", "built", "launching"]
    )
    await expect(console.locator("#test-log")).to_contain_text("Launching server...")
    assert "t0ken" not in await console.content()
    assert len(scene.members["ovh"].requests) == count + 1
    await expect(slot(console, "ovh", "success")).to_have_text("no launch")
    await row(console, "ovh").get_by_role("button", name="Weight of ovh").click()
    dialog = console.get_by_role("dialog", name="Weight of ovh")
    await dialog.get_by_label("Weight", exact=True).fill("80")
    await expect(dialog.locator("#predicted tr").nth(2)).to_have_text(
        re.compile(r"ovh\s*takes none\s*not known")
    )
    await dialog.get_by_role("button", name="Cancel").click()
    await row(console, "ovh").get_by_role("button", name="Undrain ovh").click()
    await console.get_by_role("dialog", name="Undrain ovh").get_by_role("button", name="Undrain").click()
    await expect(slot(console, "ovh", "state")).to_have_text("Takes launches")


async def test_launches_and_why_they_went_there(scene: ConsoleScene, console: Page) -> None:
    await scene.visit("u/first/HEAD?member=gesis", "u/second/HEAD?member=ovh")
    first = console.locator("#decisions li", has_text="gh/u/first/HEAD")
    await expect(first.locator("summary")).to_contain_text("ready on gesis")
    await expect(slot(console, "gesis", "success")).to_have_text("100 % ready")
    await expect(slot(console, "gesis", "ready")).to_contain_text("half in")
    await first.locator("summary").click()
    await expect(first).to_contain_text("Attempt 1: gesis was chosen")
    await expect(first.locator("ol li")).to_have_count(3)
    await expect(first.locator("ol li").first).to_contain_text("score")
    await console.get_by_label("Launches that begin with").fill("gh/u/second")
    await expect(console.locator("#decisions > li")).to_have_count(1)
    await console.get_by_label("Launches that begin with").fill("")
    await console.locator("#by-member").select_option("gesis")
    await expect(console.locator("#decisions > li")).to_have_count(1)
    await console.locator("#by-outcome").select_option("failed")
    await expect(console.locator("#decisions-none")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_have_no_grave_fault_of_access(
    scene: ConsoleScene, browser: Browser, scheme: str
) -> None:
    async with context(scene, browser, color_scheme=scheme, viewport=PHONE, reduced_motion="reduce") as (
        page,
        _,
    ):
        await page.goto(f"{scene.base}/operator")
        await expect(row(page, "gesis")).to_be_visible()
        await page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert await page.eval_on_selector(".table", "table => table.scrollWidth <= table.clientWidth")
        assert await page.evaluate((HERE / "accessibility.js").read_text()) == []
        assert await faults(page) == []
        await row(page, "gesis").get_by_role("button", name="Weight of gesis").click()
        await expect(page.locator("#predicted tr")).to_have_count(3)
        assert await faults(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        dialog = await page.locator("#weight").bounding_box()
        assert dialog is not None and dialog["x"] >= 0 and dialog["x"] + dialog["width"] <= PHONE["width"]
        await page.keyboard.press("Escape")
        for path in ("status", "", "archive/"):
            await page.goto(f"{scene.base}/{path}")
            assert await faults(page) == [], path
        await page.context.clear_cookies()
        await page.goto(f"{scene.base}/operator")
        await expect(page.get_by_label("Your token")).to_be_visible()
        assert await faults(page) == []


async def test_a_token_opens_the_console_and_a_viewer_changes_nothing(
    scene: ConsoleScene, browser: Browser
) -> None:
    async with context(scene, browser, token="") as (page, complaints):
        await page.goto(f"{scene.base}/operator")
        await page.get_by_label("Your token").fill("a-wrong-one")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("not known here")
        assert "a-wrong-one" not in await page.content()
        await page.get_by_label("Your token").fill(VIEWER)
        await page.keyboard.press("Enter")
        await expect(page.locator("#no-change")).to_contain_text("role of a viewer")
        await expect(row(page, "gesis").get_by_role("button", name="Drain gesis")).to_be_disabled()
        await expect(page.locator("#test-start")).to_be_disabled()
        await page.get_by_role("button", name="Log out Vera").click()
        await expect(page.get_by_label("Your token")).to_be_visible()
        complaints[:] = [text for text in complaints if "status of 401" not in text]


async def test_without_the_stream_it_asks_and_without_an_answer_it_says_old(
    scene: ConsoleScene, browser: Browser
) -> None:
    async with context(scene, browser) as (page, complaints):
        await page.route("**/federation/v1/events", lambda route: route.abort())
        await page.goto(f"{scene.base}/operator")
        await expect(slot(page, "gesis", "state")).to_have_text("Takes launches")
        await expect(page.locator("#freshness")).to_contain_text("Asked every 5 seconds")
        await scene.patch("ovh", "another-token", weight=61)
        await expect(slot(page, "ovh", "weight")).to_have_text("61")
        await page.context.set_offline(True)
        await expect(page.locator("#old")).to_contain_text("What is shown is of", timeout=15_000)
        complaints[:] = [text for text in complaints if "net::ERR" not in text]


async def test_a_front_door_that_doubts_itself_says_so(scene: ConsoleScene, console: Page) -> None:
    for member in scene.members.values():
        await member.die()
    await expect(console.locator("#blind")).to_contain_text("No member answers")
    for member in scene.members.values():
        await member.start()
    await expect(console.locator("#blind")).to_be_hidden()
