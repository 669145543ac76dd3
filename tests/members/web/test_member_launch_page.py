"""The member's own launch page in a real browser, on a whole member with a fake world."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from member_fakes import FakeHub
from member_stage import SPEC, RunningMember, running_member
from playwright.async_api import Page, Route, async_playwright, expect
from test_through_the_front_door import SECRET, front_door

from federation.core.rules import Mode
from members.core.model import BuildFailed, BuildLine

pytestmark = pytest.mark.e2e
VECTORS = Path(__file__).parents[2] / "federation" / "pages" / "target_vectors.json"


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page; whatever the browser complains about fails the test in the end."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await browser.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        await browser.close()
    assert complaints == []


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[RunningMember]:
    """Behind a base URL, and with so strict a rate limit that only launches with a token can all succeed."""
    text = f"base_url: /binder/\nrate_limit: {{launches: 1}}\nbuild_tokens: {{secret: {SECRET}}}\n"
    async with running_member(tmp_path, text) as running:
        yield running


def opened(hub: FakeHub) -> str:
    session = hub.created[-1]
    return f"{session.url}|{session.request.token}"


async def test_a_launch_page_builds_launches_and_opens_the_server(member: RunningMember, page: Page) -> None:
    member.builder.lines = [BuildLine("<b>first</b> step\n"), BuildLine("second step\n")]
    member.builder.gate.clear()
    await page.goto(f"{member.url}v2/{SPEC}")
    await expect(page.locator("#log")).to_contain_text("<b>first</b> step")
    await expect(page.locator("#now")).to_have_text("Building the environment…")
    await expect(page.locator('[data-step="building"]')).to_have_attribute("data-state", "now")
    await expect(page.locator("h1")).to_have_text(f"https://host/repo/{'a' * 40}")
    member.builder.gate.set()
    await page.wait_for_url("**/user/**")
    url, token = opened(member.hub).split("|")
    assert page.url == f"{url}?token={token}"
    assert await page.title() == "Notebook"


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("urlpath=%2Flab%2Ftree%2Fa%20b.ipynb%3Freset", "lab/tree/a%20b.ipynb?reset=&token="),
        ("labpath=a%20b.ipynb&filepath=x&urlpath=y", "doc/tree/a%20b.ipynb?token="),
        ("filepath=x%2Fy.ipynb&urlpath=y", "tree/x/y.ipynb?token="),
    ],
)
async def test_the_links_path_is_opened(member: RunningMember, page: Page, query: str, path: str) -> None:
    await page.goto(f"{member.url}v2/{SPEC}?{query}")
    await page.wait_for_url("**/user/**")
    url, token = opened(member.hub).split("|")
    assert page.url == f"{url}{path}{token}"


@pytest.mark.parametrize(
    "path", ["https%3A%2F%2Fevil.example%2F", "javascript%3Aalert(1)", "..%2F..%2Fx", "%2F%2Fevil"]
)
async def test_no_link_leads_out_of_the_server(member: RunningMember, page: Page, path: str) -> None:
    await page.goto(f"{member.url}v2/{SPEC}?urlpath={path}")
    await expect(page.locator("#note")).to_contain_text("outside the notebook server")
    await page.wait_for_url("**/user/**")
    url, token = opened(member.hub).split("|")
    assert page.url == f"{url}?token={token}"


async def test_a_failure_is_told_and_another_try_gets_a_token_of_its_own(
    member: RunningMember, page: Page
) -> None:
    member.builder.error = BuildFailed("requirements.txt: no such package: nosuch")
    for _ in range(3):
        await page.goto(f"{member.url}v2/{SPEC}")
        await expect(page.locator("#end-title")).to_have_text("This launch failed")
        await expect(page.locator("#end-message")).to_contain_text("no such package: nosuch")
        await expect(page.locator('[data-step="building"]')).to_have_attribute("data-state", "failed")
    member.builder.error = None
    await page.click("#retry")
    await page.wait_for_url("**/user/**")


async def test_the_home_page_says_what_this_is(member: RunningMember, page: Page) -> None:
    await page.goto(member.url)
    await expect(page.locator("h1")).to_have_text("member")
    await expect(page.locator("dd").first).to_contain_text("GitHub")


async def test_targets_are_judged_as_the_front_door_does(member: RunningMember, page: Page) -> None:
    await page.goto(member.url)
    vectors: dict[str, Any] = json.loads(VECTORS.read_text())
    # Text with half a surrogate pair cannot reach the page: browsers replace it when they read the query.
    unsafe = [vector for vector in vectors["unsafe"] if vector["why"] != "valid text"]
    script = """async (vectors) => {
      const { serverTarget, UnsafeTarget } = await import("/binder/static/target.js");
      return vectors.map((v) => {
        try { return serverTarget(v.server, v.token, v); }
        catch (error) { return error instanceof UnsafeTarget ? { refused: error.message } : String(error); }
      });
    }"""
    assert await page.evaluate(script, vectors["safe"]) == [vector["target"] for vector in vectors["safe"]]
    answers = await page.evaluate(script, unsafe)
    assert [v for v, told in zip(unsafe, answers, strict=True) if v["why"] not in told["refused"]] == []


async def test_a_refreshed_page_joins_its_launch(member: RunningMember, page: Page) -> None:
    member.hub.gate.clear()
    await page.goto(f"{member.url}v2/{SPEC}?urlpath=lab")
    await expect(page.locator("#log")).to_contain_text("Server requested")
    await page.reload()
    await expect(page.locator("#log")).to_contain_text("Server requested")
    member.hub.gate.set()
    await page.wait_for_url("**/user/**")
    assert len(member.hub.created) == 1


@pytest.mark.parametrize("mode", list(Mode))
async def test_the_front_doors_page_launches_with_its_token_and_a_refreshed_one_joins(
    member: RunningMember, page: Page, mode: Mode
) -> None:
    """Three launches where a visitor without tokens has one; each page after a refresh has a token of its own."""
    async with front_door(member, mode) as door:
        for number in range(3):
            member.hub.gate.clear()
            await page.goto(f"{door}/v2/{SPEC}")
            await expect(page.locator("#log-lines")).to_contain_text("Server requested")
            await page.reload()
            await expect(page.locator("#log-lines")).to_contain_text("Server requested")
            member.hub.gate.set()
            await page.wait_for_url("**/user/**")
            assert len(member.hub.created) == number + 1


async def test_a_stream_that_breaks_for_ever_is_lost(member: RunningMember, page: Page) -> None:
    """Though each connection brings an event: it may be a new launch each time."""
    event = f'id: {"L" * 22}.1\ndata: {{"phase": "building", "message": "one"}}\n\n'
    asked: list[str] = []

    async def breaks(route: Route) -> None:
        asked.append(route.request.url)
        await route.fulfill(status=200, content_type="text/event-stream", body=event)

    await page.route("**/always", breaks)
    await page.goto(member.url)
    phases = await page.evaluate(
        """async (script) => {
            const { follow } = await import(script);
            const phases = [];
            for await (const { phase } of follow("always", "launch", { delays: [0, 0] })) {
                if (phases.push(phase) > 50) break;
            }
            return phases;
        }""",
        f"{member.url}static/stream.js",
    )
    assert phases == ["building"] * 20 + ["lost"] and len(asked) == 20
