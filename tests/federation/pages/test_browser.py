"""The pages in a real browser: what a visitor sees, hears and ends up with."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pages_stage as stage
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, expect

from federation.core.facts import StateChanged
from federation.core.history import Launches, looked
from federation.core.incidents import heard
from federation.core.model import Member, State
from federation.core.providers import PROVIDERS
from federation.core.rules import LaunchRules, Mode, Settings
from federation.web.history import HISTORY
from federation.web.incidents import INCIDENTS

# One browser for the whole module, so one event loop too.
pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]
HERE = Path(__file__).parent
NOTEBOOK = re.compile(r"/user/alice/")


async def states(page: Page) -> list[str]:
    return await page.eval_on_selector_all("#steps li", "all => all.map(li => li.dataset.state ?? '')")


async def until(page: Page, condition: str) -> None:
    """Waits for a JavaScript condition; from outside, since the policy of the page forbids eval inside."""
    async with asyncio.timeout(20):
        while True:
            if await page.evaluate(condition):
                return
            await asyncio.sleep(0.05)


async def collect(seen: Any, scene: str) -> list[dict[str, Any]]:
    """All events of a scene as static/stream.js tells them, with short delays."""
    events: list[dict[str, Any]] = await seen.page.evaluate(
        """async (scene) => {
          const { follow } = await import("/static/stream.js");
          const all = [];
          const options = { delays: [0.01, 0.02], silence: 1 };
          for await (const event of follow(`/build/gh/scene/${scene}/HEAD`, options)) all.push(event);
          return all;
        }""",
        scene,
    )
    return events


async def test_target_twin_gives_the_same_answers(visit: Any) -> None:
    seen = await visit("/about")
    vectors = json.loads((HERE / "target_vectors.json").read_text())
    # Text with half a surrogate pair cannot reach the page: browsers replace it when they read the query.
    unsafe = [v for v in vectors["unsafe"] if v["why"] != "valid text"]
    script = """async (vectors) => {
      const { serverTarget, UnsafeTarget } = await import("/static/target.js");
      return vectors.map((v) => {
        try { return serverTarget(v.server, v.token, v); }
        catch (error) { return error instanceof UnsafeTarget ? { refused: error.message } : String(error); }
      });
    }"""
    assert await seen.page.evaluate(script, vectors["safe"]) == [v["target"] for v in vectors["safe"]]
    answers = await seen.page.evaluate(script, unsafe)
    assert [v for v, answer in zip(unsafe, answers, strict=True) if v["why"] not in answer["refused"]] == []


async def test_link_twin_gives_the_same_answers(visit: Any) -> None:
    seen = await visit("/about")
    vectors = json.loads((HERE / "link_vectors.json").read_text())
    known = {row.id: dict(row.display) for row in PROVIDERS}
    answers = await seen.page.evaluate(
        """async ([vectors, known]) => {
          const { launchPath, readLink } = await import("/static/links.js");
          return vectors.map((v) => {
            const ids = v.offered ?? Object.keys(known);
            const offered = Object.fromEntries(ids.map((id) => [id, known[id]]));
            try {
              const link = readLink(v.text, offered, known);
              return { link, launch: launchPath(link, offered) };
            } catch (error) { return { error: error.message }; }
          });
        }""",
        [vectors, known],
    )
    for vector, answer in zip(vectors, answers, strict=True):
        if "error" in vector:
            assert vector["error"] in answer["error"], vector["text"]
        else:
            assert (answer["link"], answer["launch"]) == (vector["link"], vector["launch"])


async def test_link_and_badge_follow_what_is_typed(visit: Any) -> None:
    seen = await visit("/")
    page = seen.page
    await expect(page.locator("#share")).to_be_hidden()
    await page.fill("#link", "https://github.com/u/r/blob/dev/a b.ipynb".replace(" ", "%20"))
    await expect(page.locator("#reading")).to_have_text("GitHub: u/r, dev, opens a b.ipynb")
    link = f"{seen.base}/v2/gh/u/r/dev?urlpath=%2Fdoc%2Ftree%2Fa%2520b.ipynb"
    badge = f"{seen.base}/badge_logo.svg"
    await expect(page.locator("#share-link")).to_have_value(link)
    await expect(page.locator("#share-md")).to_have_value(f"[![Binder]({badge})]({link})")
    await expect(page.locator("#share-rst")).to_have_value(f".. image:: {badge}\n :target: {link}")
    await page.click("summary")
    await page.fill("#ref", "v2")
    await page.fill("#path", "/lab")
    await page.select_option("#opens", "url")
    await expect(page.locator("#share-link")).to_have_value(f"{seen.base}/v2/gh/u/r/v2?urlpath=%2Flab")
    await page.select_option("#provider", "zenodo")
    await expect(page.locator("#share")).to_be_hidden()
    await expect(page.locator("#reading")).to_contain_text("Zenodo DOI needs more")
    await page.fill("#link", "")
    await expect(page.locator("#reading")).to_have_text("")


async def test_a_url_in_the_repository_field_is_read_too(visit: Any) -> None:
    page = (await visit("/")).page
    await page.click("summary")
    await page.fill("#repo", "https://gitlab.com/a/b/-/tree/dev")
    await expect(page.locator("#provider")).to_have_value("gl")
    await expect(page.locator("#repo")).to_have_value("a/b")


async def test_copy_buttons_copy_and_say_so(visit: Any) -> None:
    seen = await visit("/?link=u/r", permissions=["clipboard-read", "clipboard-write"])
    await seen.page.click('[data-copy="share-link"]')
    await expect(seen.page.locator("#root")).to_have_text("Copied to the clipboard")
    assert await seen.page.evaluate("navigator.clipboard.readText()") == f"{seen.base}/v2/gh/u/r/HEAD"


async def test_form_launches_by_keyboard(visit: Any) -> None:
    page = (await visit("/")).page
    await page.focus("#link")
    await page.keyboard.type("scene/cached")
    await page.keyboard.press("Enter")
    await page.wait_for_url(NOTEBOOK)


@pytest.mark.parametrize("javascript", [True, False])
async def test_suggestion_is_the_first_thing_to_reach(visit: Any, javascript: bool) -> None:
    page = (await visit("/", java_script_enabled=javascript)).page
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")  # the skip link
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url(NOTEBOOK if javascript else re.compile("/v2/gh/scene/cached/HEAD"))


async def test_form_works_without_javascript(visit: Any) -> None:
    page = (await visit("/", java_script_enabled=False)).page
    await page.fill("#link", "https://github.com/u/r/tree/dev")
    await page.click(".paste button")
    await page.wait_for_url(re.compile("/v2/gh/u/r/dev$"))
    await expect(page.locator("noscript .note")).to_contain_text("binder-federation launch gh/u/r/dev")


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("", "?token=T0K"),
        ("?urlpath=/lab/tree/a%2520b.ipynb?reset", "lab/tree/a%20b.ipynb?reset=&token=T0K"),
        ("?labpath=dir/x.ipynb&urlpath=tree", "doc/tree/dir/x.ipynb?token=T0K"),
        ("?filepath=x.ipynb", "tree/x.ipynb?token=T0K"),
    ],
)
async def test_cached_launch_ends_in_the_notebook(visit: Any, query: str, path: str) -> None:
    seen = await visit("/about")
    await seen.go("/v2/gh/scene/cached/HEAD" + query)
    await seen.page.wait_for_url(NOTEBOOK)
    assert seen.page.url == f"{seen.base}/{stage.SESSION}{path}"
    await seen.page.go_back()
    assert seen.page.url == f"{seen.base}/about"  # the launch page is not in the way


async def test_hostile_path_opens_the_start_page_and_says_so(visit: Any) -> None:
    async def follow(wanted: str) -> None:
        seen = await visit(f"/v2/gh/scene/cached/HEAD?urlpath={wanted}")
        start = f"{seen.base}/{stage.SESSION}?token=T0K"
        await expect(seen.page.locator("#refused")).to_contain_text("outside the notebook server")
        await expect(seen.page.locator("#open")).to_have_attribute("href", start)
        await seen.page.wait_for_url(NOTEBOOK)
        assert seen.page.url == start

    hostile = ("https://evil.example/", "javascript:alert(1)", "//evil.example/", "..%252f..%252fbob")
    await asyncio.gather(*(follow(wanted) for wanted in hostile))


async def test_a_members_hostile_address_is_not_opened(visit: Any) -> None:
    page = (await visit("/v2/gh/scene/javascript/HEAD")).page
    await expect(page.locator("#end-message")).to_have_text(
        "The member answered with an address that cannot be opened."
    )


async def test_cold_launch_shows_phases_member_and_log(visit: Any) -> None:
    seen = await visit("/v2/gh/scene/cold/HEAD")
    page = seen.page
    await expect(page.locator("#log-lines")).to_contain_text("Successfully built <b>x</b>")
    await expect(page.locator("#now")).to_have_text("Building the environment on hetzner-2i2c…")
    await expect(page.locator("#attempts li")).to_have_text(
        ["→hetzner-2i2c takes this launch: this repository's own member."]
    )
    assert await states(page) == ["done", "now", "", "", ""]
    assert await page.get_attribute("#step-building", "aria-current") == "step"
    assert await page.title() == "Building the environment – scene/cold – Binder Federation"
    assert "favicon-building" in await page.get_attribute('link[rel="icon"]', "href")
    await expect(page.locator("#elapsed")).to_have_text(re.compile(r"^\d+ s$"))
    lines = (await page.inner_text("#log-lines")).split("\n")
    assert lines[-3:] == ["Downloading 100 %", "red words", "Successfully built <b>x</b>"]
    assert 4500 <= len(lines) <= 5600  # bounded, and says so
    await expect(page.locator("#log-dropped")).to_contain_text("earlier lines are no longer kept")
    seen.app[stage.GATE].set()
    await page.wait_for_url(NOTEBOOK)


async def test_log_leaves_the_scroll_bar_to_its_reader(visit: Any) -> None:
    seen = await visit("/v2/gh/scene/held/HEAD", viewport={"width": 800, "height": 500})
    page = seen.page
    await expect(page.locator("#log-lines")).to_contain_text("red words")
    at_end = "log.scrollHeight - log.scrollTop - log.clientHeight < 8"
    await until(page, at_end)
    await page.focus("#log")
    await page.keyboard.press("Home")
    await until(page, "log.scrollTop === 0")
    await expect(page.locator("#log-follow")).to_be_visible()
    seen.app[stage.GATE].set()
    await expect(page.locator("#log-lines")).to_contain_text("after the gate")
    assert await page.evaluate("log.scrollTop") == 0
    await page.click("#log-follow")
    await until(page, at_end)
    await expect(page.locator("#log-follow")).to_be_hidden()


async def test_the_place_in_line_changes_in_place(visit: Any) -> None:
    seen = await visit("/v2/gh/scene/line/HEAD")
    page = seen.page
    await expect(page.locator("#now")).to_have_text("Every member is full. You are number 2 in line.")
    await expect(page).to_have_title(re.compile("^Place 2 of 70 – "))
    assert await states(page) == ["now", "", "", "", ""]
    await expect(page.locator("#route")).to_be_hidden()
    await expect(page.locator("#log-lines")).to_contain_text("You are number 60 in line")
    assert await page.locator("#log-lines div").count() == 1
    seen.app[stage.GATE].set()
    await expect(page.locator("#end-message")).to_have_text("The end of the scene")
    assert await seen.text("#now") == "The launch failed on hetzner-2i2c."
    await expect(page.locator("#attempts li")).to_have_count(1)
    assert "in line" not in await seen.text("#now") and "in line" not in await page.title()


async def test_a_launch_that_lost_its_member_waits_without_one(visit: Any) -> None:
    seen = await visit("/v2/gh/scene/line_again/HEAD")
    page = seen.page
    await expect(page.locator("#now")).to_have_text("Every other member is full. You are number 2 in line.")
    assert await states(page) == ["now", "", "", "", ""]
    await expect(page.locator("#attempts li")).to_have_class("left")
    await expect(page.locator("#log-lines")).to_contain_text("one line of a build")
    seen.app[stage.GATE].set()
    await expect(page.locator("#now")).to_have_text("The launch failed.")
    await expect(page.locator("#end-message")).to_have_text("All members stayed full for 600 s.")


async def test_only_the_summary_is_spoken(visit: Any) -> None:
    page = (await visit("/v2/gh/scene/held/HEAD")).page
    await expect(page.locator("#log-lines")).to_contain_text("red words")
    assert await page.get_attribute("#now", "role") == "status"
    assert await page.get_attribute("#log", "aria-live") == "off"
    assert await page.locator("#launch [role=status]").count() == 1


@pytest.mark.parametrize(
    ("scene", "message", "told"),
    [
        ("failed", "Error during build: pip returned 1", "The build stopped."),
        ("bare", "the last words of the build", "The build stopped."),
        ("badref", "Could not resolve ref for", "Check the address for typing errors"),
        ("refused", "The front door refused this launch: 400", "Make a new one on the start page"),
    ],
)
async def test_failure_says_what_failed_and_what_to_do(
    visit: Any, scene: str, message: str, told: str
) -> None:
    seen = await visit(f"/v2/gh/scene/{scene}/HEAD", permissions=["clipboard-read", "clipboard-write"])
    page = seen.page
    await expect(page.locator("#end-title")).to_have_text("This launch failed")
    await expect(page.locator("#end-title")).to_be_focused()
    await expect(page.locator("#end-message")).to_contain_text(message)
    await expect(page.locator("#end-advice")).to_contain_text(told)
    assert "failed" in await states(page)
    assert "favicon-fail" in await page.get_attribute('link[rel="icon"]', "href")
    await expect(page.locator("#members")).to_have_attribute("href", "/status")
    assert seen.app[stage.VISITS][scene] == 1  # a failure is final until the visitor says otherwise
    await page.click("#log-copy")
    assert (await page.evaluate("navigator.clipboard.readText()")).strip() == (
        await page.inner_text("#log-lines")
    ).strip()
    await page.click("#retry")
    await expect(page.locator("#end-title")).to_have_text("This launch failed")
    assert seen.app[stage.VISITS][scene] == 2
    if scene == "refused":  # a 400 is one line in the console of any browser
        seen.forgiven = "status of 400"


async def test_failover_is_told_in_plain_words(visit: Any) -> None:
    seen = await visit("/v2/gh/scene/failover/HEAD")
    page = seen.page
    await expect(page.locator("#now")).to_have_text("Starting your server on gesis…")
    await expect(page.locator("#attempts li")).to_have_text(
        [
            "✗hetzner-2i2c takes this launch: this repository's own member.",
            "→hetzner-2i2c stopped answering; gesis continues this launch.",
        ]
    )
    assert await states(page) == ["done", "skipped", "skipped", "now", ""]
    seen.app[stage.GATE].set()
    await page.wait_for_url(NOTEBOOK)


async def test_broken_connection_is_taken_up_again(visit: Any) -> None:
    seen = await visit("/v2/gh/scene/broken/HEAD")
    await expect(seen.page.locator("#now")).to_contain_text("Connecting again in 1 s, attempt 1 of 5.")
    await expect(seen.page.locator("#now")).to_contain_text("Connecting again in 2 s, attempt 2 of 5.")
    assert await seen.page.locator("#attempts li").count() == 1
    await seen.page.wait_for_url(NOTEBOOK)
    assert seen.app[stage.VISITS]["broken"] == 3


@pytest.mark.parametrize("scene", ["dead", "ends", "page", "endless"])
async def test_reconnects_are_bounded(visit: Any, scene: str) -> None:
    seen = await visit("/about")
    events = [event for event in await collect(seen, scene) if "member" not in event]
    assert [event["phase"] for event in events] == ["reconnecting", "reconnecting", "lost"]
    assert seen.app[stage.VISITS][scene] == 3


async def test_silence_is_a_break(visit: Any) -> None:
    seen = await visit("/about")
    events = await collect(seen, "held")
    assert [e["reason"] for e in events if e["phase"] == "reconnecting"] == [
        "nothing was heard for too long"
    ] * 2


async def test_garbage_in_the_stream_is_survived(visit: Any) -> None:
    events = await collect(await visit("/about"), "garbage")
    assert [(event["phase"], event.get("message")) for event in events[:-1]] == [
        ("building", "two lines\n"),
        ("unknown", "not json <b>\n"),
        ("unknown", "17\n"),
        ("unknown", "null\n"),
        ("3", {"a": 1}),
        ("built", "upper case\n"),
    ]
    assert events[-1]["phase"] == "ready"


async def test_leaving_the_page_ends_the_stream(visit: Any) -> None:
    seen = await visit("/v2/gh/scene/held/HEAD")
    await expect(seen.page.locator("#log-lines")).to_contain_text("red words")
    await seen.go("/about")
    seen.app[stage.GATE].set()
    async with asyncio.timeout(20):
        await seen.app[stage.LEFT].wait()
    assert seen.app[stage.VISITS]["held"] == 1


async def test_redirect_mode_follows_the_member_across_origins(visit: Any) -> None:
    async def member(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Access-Control-Allow-Origin": "*"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for event in [*stage.launching(), stage.ready(request)]:
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        return response

    app = web.Application()
    app.router.add_get("/build/{spec:.*}", member)
    app.router.add_get("/{path:.*}", stage.notebook)
    async with TestServer(app) as server:
        there = str(server.make_url("/")).rstrip("/")
        settings = Settings((Member("m", there, 1.0),), launch=LaunchRules(mode=Mode.REDIRECT))
        seen = await visit("/v2/gh/elsewhere/redirect/HEAD", settings)
        await seen.page.wait_for_url(f"{there}/user/alice/?token=T0K")


async def test_status_renews_itself_and_keeps_what_is_open(visit: Any) -> None:
    seen = await visit("/status")
    page = seen.page
    await page.click("#versions-1 summary")
    await page.click("#days summary")
    await page.click("details.incident >> nth=0 >> summary")  # it goes on, and is open at first
    pool = seen.app[stage.POOL]
    pool.refused("hetzner-2i2c", "refused the connection")
    await expect(page.locator("#summary")).to_contain_text("have not answered yet", timeout=15_000)
    await expect(page.locator("#member-1")).to_contain_text("Refused the connection")
    await expect(page.locator("#versions-1")).to_have_attribute("open", "")
    incidents, history = seen.app[INCIDENTS], seen.app[HISTORY]
    now = time.time()
    trial = StateChanged("gesis", State.EJECTED, State.TRIAL, "", now)
    incidents._book = heard(incidents._book, trial, now)
    history.history = looked(history.history, (), blind=False, launches=Launches(1, 1, 0), now=now)
    await page.evaluate(
        "document.dispatchEvent(new Event('visibilitychange'))"
    )  # as one who comes back to the page
    await expect(page.locator("#days")).to_contain_text("9101", timeout=15_000)
    await expect(page.locator("#days")).to_have_attribute("open", "")
    goes_on = page.locator("details.incident").first
    await expect(goes_on).to_contain_text("gesis is on trial")
    assert await goes_on.get_attribute("open") is None


async def test_status_says_when_its_figures_are_old(visit: Any) -> None:
    seen = await visit("/status")
    await seen.page.context.set_offline(True)
    await expect(seen.page.locator("#refresh")).to_contain_text("these figures are old", timeout=15_000)


@pytest.mark.parametrize(
    "path", ["/", "/?link=u/r", "/v2/gh/scene/failed/HEAD", "/status", "/about", "/v2/gh/u/r"]
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_are_accessible(visit: Any, path: str, scheme: str) -> None:
    seen = await visit(path, color_scheme=scheme, viewport={"width": 360, "height": 740})
    page = seen.page
    if "failed" in path:
        await expect(page.locator("#end-title")).to_be_visible()
    await page.wait_for_load_state("load")  # the stylesheet too
    await page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    found = await page.evaluate((HERE / "accessibility.js").read_text())
    assert found == []
    if path == "/v2/gh/u/r":
        seen.forgiven = "status of 400"  # the page itself is that answer, which browsers note


async def test_reduced_motion_is_respected(visit: Any) -> None:
    page = (await visit("/v2/gh/scene/held/HEAD", reduced_motion="reduce")).page
    await expect(page.locator("#now")).to_contain_text("Building")
    assert await page.evaluate("document.getAnimations().length") == 0


async def test_three_stray_launches_at_once(visit: Any) -> None:
    """Pages do not share state: each ends where its own stream says."""
    seen = [await visit("/v2/gh/scene/cold/HEAD") for _ in range(3)]
    for one in seen:
        one.app[stage.GATE].set()
    await asyncio.gather(*(one.page.wait_for_url(NOTEBOOK) for one in seen))
