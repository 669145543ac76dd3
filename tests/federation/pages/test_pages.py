"""The pages as a browser without JavaScript gets them."""

from __future__ import annotations

import json
import re
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from html import unescape
from typing import Any

import pages_stage as stage
import pytest
from aiohttp import ClientResponse
from yarl import URL

from federation.core.facts import AttemptEnded, Outcome
from federation.core.launchkey import parse_launch
from federation.core.model import Check, Operation, Seats
from federation.core.rules import LaunchRules, Mode, Settings
from federation.service.audience import Audience
from federation.service.pool import Pool
from federation.service.ports import ProbeResult
from federation.web import status
from federation.web.keys import RUNNING

HTML = {"Accept": "text/html,*/*;q=0.8"}
PAGES = ["/", "/status", "/about", "/v2/gh/u/r/HEAD", "/nothing/here", "/v2/zenodo/10.5281/zenodo.1/"]


async def text(response: ClientResponse) -> str:
    return unescape(await response.text())


def words(html: str) -> str:
    """What a reader sees of a page, on one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_html_under_a_strict_policy(front_door: Any, path: str) -> None:
    response = await front_door.get(path, headers=HTML)
    body = await response.text()
    policy = response.headers["Content-Security-Policy"]
    assert response.content_type == "text/html"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*(src=|application/json))|style=|<style|\son[a-z]+=", body)
    assert not re.search(r'(src|rel="stylesheet" href)="(https?:)?//', body)
    assert '<div id="root"></div>' in body  # monitors of BinderHub's page look for it
    assert (await front_door.head(path, headers=HTML)).status == response.status


async def test_start_page_offers_suggestions_first_and_all_providers(front_door: Any) -> None:
    body = await (await front_door.get("/")).text()
    content = body[body.index("<main") :]
    assert re.search(r'href="([^"]+)"', content)[1] == "/v2/gh/scene/cached/HEAD"  # type: ignore[index]
    assert "/v2/git/https%3A%2F%2Fexample.org%2Fapp/HEAD?urlpath=%2Fvoila%2Fx.ipynb" in body
    assert "NumPy &amp; &lt;matplotlib&gt;" in body
    assert "GitHub Gist" in body


@pytest.mark.parametrize(
    ("form", "location"),
    [
        ({"link": "https://github.com/u/r/tree/dev"}, "/v2/gh/u/r/dev"),
        ({"link": "u/r", "provider": "gh", "repo": "", "ref": "", "path": ""}, "/v2/gh/u/r/HEAD"),
        (
            {"provider": "gh", "repo": "u/r", "ref": "v 1", "path": "a b.ipynb"},
            "/v2/gh/u/r/v%201?urlpath=%2Fdoc%2Ftree%2Fa%2520b.ipynb",
        ),
        (
            {"provider": "git", "repo": "https://x.org/r", "path": "/lab", "opens": "url"},
            "/v2/git/https%3A%2F%2Fx.org%2Fr/HEAD?urlpath=%2Flab",
        ),
    ],
)
async def test_form_leads_to_the_launch(front_door: Any, form: dict[str, str], location: str) -> None:
    response = await front_door.get("/launch", params=form, allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (303, location)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "Paste the address"),
        ({"link": "hello"}, "neither a repository URL"),
        ({"link": '"><script>alert(1)</script>'}, "neither a repository URL"),
        ({"provider": "nope", "repo": "u/r"}, "Choose one of the providers"),
        ({"provider": "gh", "repo": "only-a-user"}, "GitHub links look like"),
        ({"provider": "gh", "repo": "u/.."}, "must not contain . or .."),
    ],
)
async def test_form_comes_back_with_what_is_wrong(front_door: Any, form: dict[str, str], said: str) -> None:
    response = await front_door.get("/launch", params=form, allow_redirects=False)
    raw = await response.text()
    assert response.status == 400
    assert said in unescape(raw)
    assert "<script>alert" not in raw


async def test_link_and_badge_without_javascript(front_door: Any) -> None:
    body = await text(await front_door.get("/", params={"link": "u/r"}))
    link = f"{front_door.make_url('/')}v2/gh/u/r/HEAD"
    badge = f"{front_door.make_url('/')}badge_logo.svg"
    assert f"[![Binder]({badge})]({link})" in body
    assert f".. image:: {badge}\n :target: {link}" in body
    assert f'<a href="{link}"><img src="{badge}" alt="launch binder"></a>' in body


async def test_public_url_of_the_settings_is_what_links_carry(front_door: Any) -> None:
    running = front_door.app[RUNNING]
    running.settings = replace(running.settings, public_url="https://mybinder.example.org")
    body = await text(await front_door.get("/", params={"link": "u/r"}))
    assert "https://mybinder.example.org/v2/gh/u/r/HEAD" in body


async def test_launch_page_carries_the_raw_spec_to_the_stream(front_door: Any) -> None:
    path = "/v2/git/https%3a%2F%2Fx.org%2Fa%20b/feature/x"
    response = await front_door.get(URL(path + "?urlpath=lab&member=gesis&evil=1", encoded=True))
    body = await text(response)
    assert 'data-build="/build/git/https%3a%2F%2Fx.org%2Fa%20b/feature/x?member=gesis"' in body
    assert (
        '<meta property="og:title" content="Git repository: https%3a%2F%2Fx.org%2Fa%20b/feature/x">' in body
    )
    assert "<title>a b – Binder Federation</title>" in body
    assert ">https://x.org/a b<" in body


@pytest.mark.parametrize(
    ("path", "status", "said", "hint"),
    [
        ("/v2/nope/u/r/HEAD", 404, "no kind of repository", None),
        ("/v2/gh/u/r", 400, "/v2/gh/user/repo/ref", "/v2/gh/u/r/HEAD"),
        ("/v2/gh/u/r/", 400, "/v2/gh/user/repo/ref", "/v2/gh/u/r/HEAD"),
        ("/v2/gh/u", 400, "/v2/gh/user/repo/ref", None),
        ("/v2/gh/u//HEAD", 400, "/v2/gh/user/repo/ref", None),
        ("/v2/gh/u/r/%2e%2e", 400, "must not contain . or ..", None),
        ("/v2/gh/u/r/..%2F..%2Fx", 400, "must not contain . or ..", None),
        ("/v2/gh/u/r/a%00b", 400, "backslashes or control characters", None),
        ("/v2/gh/u/r/" + "a" * 3000, 400, "is too long", None),
        (
            "/v2/git/https://github.com/u/r/tree/dev",
            400,
            "percent-encoded",
            "/v2/git/https%3A%2F%2Fgithub.com%2Fu%2Fr/dev",
        ),
        ("/v2/zenodo/zenodo.123", 400, "Zenodo DOI links look like", None),
        ("/v2/gh/", 404, "nothing here", None),
        ("/%3Cscript%3E", 404, "nothing here", None),
    ],
)
async def test_a_bad_launch_link_is_explained(
    front_door: Any, path: str, status: int, said: str, hint: str | None
) -> None:
    response = await front_door.get(URL(path, encoded=True), headers=HTML)
    body = await text(response)
    assert response.status == status
    assert said in body
    assert (f'<a href="{hint}">' in body) if hint else ("Did you mean" not in body)


async def test_a_provider_that_is_switched_off_is_unknown(front_door: Any) -> None:
    running = front_door.app[RUNNING]
    running.settings = replace(running.settings, providers=("git",))
    response = await front_door.get("/v2/gh/u/r/HEAD")
    assert response.status == 404
    assert [row["id"] for row in await (await front_door.get("/api/repoproviders")).json()] == ["git"]


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "javascript:alert(1)", "//evil.example", "../../bob"]
)
async def test_a_path_outside_the_server_is_announced_before_the_launch(front_door: Any, wanted: str) -> None:
    body = await text(await front_door.get("/v2/gh/u/r/HEAD", params={"urlpath": wanted}))
    assert "asks for a page outside the notebook server" in body
    body = await text(await front_door.get("/v2/gh/u/r/HEAD", params={"urlpath": "/lab/tree/x.ipynb"}))
    assert "outside the notebook server" not in body


async def test_redirect_mode_lets_the_page_read_from_members(aiohttp_client: Any) -> None:
    settings = Settings(stage.MEMBERS, launch=LaunchRules(mode=Mode.REDIRECT))
    redirecting = await aiohttp_client(stage.application(settings, stage.pool(1e9)))
    policy = (await redirecting.get("/v2/gh/u/r/HEAD")).headers["Content-Security-Policy"]
    assert "connect-src 'self' https://2i2c.example.org" in policy.replace(
        "https://curvenote.example.org ", ""
    )


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/repo/u/r", "/v2/gh/u/r/master"),
        ("/repo/u/r/tree/a%20b.ipynb", "/v2/gh/u/r/master?urlpath=%2Ftree%2Fa%20b.ipynb"),
        ("/repo/u/r/x?y=1", "/v2/gh/u/r/master?urlpath=%2Fx"),
    ],
)
async def test_first_generation_links(front_door: Any, path: str, location: str) -> None:
    response = await front_door.get(URL(path, encoded=True), allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, location)


async def test_repoproviders_has_binderhubs_shape(front_door: Any) -> None:
    response = await front_door.get("/api/repoproviders")
    rows = {row["id"]: row for row in await response.json()}
    assert list(rows) == ["gh", "gist", "git", "gl", "zenodo", "figshare", "hydroshare", "dataverse", "ckan"]
    assert rows["gh"] == {
        "displayName": "GitHub",
        "id": "gh",
        "spec": {"validateRegex": "[^/]+/[^/]+/.+"},
        "detect": {"regex": "^(https?://github.com/)?(?<repo>.*[^/])/?"},
        "repo": {
            "label": "GitHub repository name or URL",
            "placeholder": "example: binder-examples/requirements or https://github.com/binder-examples/requirements",
            "urlEncode": False,
        },
        "ref": {"enabled": True, "default": "HEAD"},
    }
    assert rows["zenodo"]["ref"] == {"enabled": False}
    assert "detect" not in rows["git"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert (await front_door.options("/api/repoproviders")).status == 200


async def test_programs_get_plain_errors(front_door: Any) -> None:
    response = await front_door.get("/nothing", headers={"Accept": "application/json"})
    assert (response.status, response.content_type) == (404, "application/json")
    assert await (await front_door.get("/nothing")).text() == "404: Not Found\n"


async def test_routes_added_after_the_pages_are_reached(aiohttp_client: Any) -> None:
    app = stage.application(Settings(stage.MEMBERS), stage.pool(1e9))
    app.router.add_get("/metrics", stage.notebook)
    assert (await (await aiohttp_client(app)).get("/metrics")).status == 200


async def test_robots_keep_out_of_launches(front_door: Any) -> None:
    assert "Disallow: /v2/" in await (await front_door.get("/robots.txt")).text()


@pytest.mark.parametrize(
    "path", ["/badge.svg", "/badge_logo.svg", "/assets/images/badge.svg", "/favicon.ico"]
)
async def test_badges_can_be_embedded_anywhere(front_door: Any, path: str) -> None:
    response = await front_door.get(path)
    body = await response.text()
    assert response.content_type == "image/svg+xml"
    assert body.startswith("<svg")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    again = await front_door.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    assert (await front_door.head(path)).status == 200
    preflight = await front_door.options(path, headers={"Origin": "https://x.org"})
    assert preflight.status == 200
    assert preflight.headers["Access-Control-Allow-Headers"].startswith("cache-control, last-event-id, auth")


async def test_static_files_are_named_by_their_content(front_door: Any) -> None:
    body = await (await front_door.get("/v2/gh/u/r/HEAD")).text()
    script = re.search(r'src="(/static/launch\.js\?v=\w+)"', body)[1]  # type: ignore[index]
    pinned = await front_door.get(script)
    assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    imports = re.findall(r'from "\./([^"]+)"', await pinned.text())
    assert len(imports) == 5
    for name in imports:
        assert (await front_door.get(f"/static/{name}")).headers["Cache-Control"].endswith("immutable")
    unpinned = await front_door.get("/static/launch.js?v=old")
    assert unpinned.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": pinned.headers["ETag"]}
    assert (await front_door.get("/static/launch.js", headers=known)).status == 304


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fpages.py", "%2Fetc%2Fpasswd", "house.css%00"])
async def test_nothing_else_is_served_as_static(front_door: Any, name: str) -> None:
    assert (await front_door.get(URL(f"/static/{name}", encoded=True))).status == 404


async def test_status_tells_state_reason_share_and_seats_in_words(front_door: Any) -> None:
    raw = await (await front_door.get("/status")).text()
    body = words(raw)
    for said in (
        "1 of 3 members takes launches.",
        "Takes launches for 2 hours",
        "Out of service for 3 minutes",
        "JupyterHub API fails:",
        "Drained by its operators",
        "Not known yet",
        "112 of 300 in use",
        "100 %",
        "Pod quota fails, does not count",
        "builder_info / isolation bubblewrap <on>",
    ):
        assert said in body
    assert "<script>alert" not in raw


async def test_a_full_member_says_so_and_has_no_share(aiohttp_client: Any) -> None:
    pool = stage.pool(1e9)
    full = ProbeResult(stage.MEMBERS[0].name, 1e9, True, True, seats=Seats(300, 300))
    pool.observe(full)
    visitor = await aiohttp_client(stage.application(Settings(stage.MEMBERS), pool))
    body = words(await (await visitor.get("/status")).text())
    assert re.search(r"hetzner-2i2c .*Full \S.* 0 % weight 300", body)


HUB_DOWN = (Check("JupyterHub API", False),)


class Standings:
    """Two members and time, brought into every state that the status page tells of."""

    def __init__(self) -> None:
        self.clock = stage.Watch(1e9)
        self.pool = Pool(Settings(stage.MEMBERS[:2]), self.clock)
        for member in stage.MEMBERS[:2]:
            self.look(member.name)

    def look(self, name: str, **told: Any) -> None:
        self.pool.observe(ProbeResult(name, self.clock.at, True, True, **told))

    def ends(self, name: str, id: int, outcome: Outcome, cause: str) -> None:
        launch = parse_launch(f"/build/gh/u/repo-{id}/HEAD")
        self.pool.listen(AttemptEnded(launch, id, name, 1, outcome, cause, "pods fail", 1.0))

    async def shown(self, aiohttp_client: Any) -> str:
        app = stage.application(Settings(stage.MEMBERS[:2]), self.pool)
        return words(await (await (await aiohttp_client(app)).get("/status")).text())


async def test_a_degraded_member_says_what_it_can_do_and_is_not_called_full(aiohttp_client: Any) -> None:
    standings = Standings()
    standings.look("hetzner-2i2c", checks=HUB_DOWN, lost=frozenset({Operation.LAUNCH}))
    body = await standings.shown(aiohttp_client)
    assert "Takes some launches for" in body and "Full" not in body
    assert "Starts no sessions now: failing: JupyterHub API" in body
    registry = (Check("Docker registry", False),)
    standings.look("gesis", checks=registry, lost=frozenset({Operation.BUILD}))
    body = await standings.shown(aiohttp_client)
    assert "Takes only images that it holds: failing: Docker registry" in body


async def test_trial_and_recovery_are_told_with_their_reason(aiohttp_client: Any) -> None:
    standings = Standings()
    for id in range(6):
        standings.ends("gesis", id, Outcome.READY, "ready")
    for id in range(3):
        standings.ends("hetzner-2i2c", 10 + id, Outcome.LOST, "launch")
    assert "3 of its last 3 launches failed" in await standings.shown(aiohttp_client)
    standings.clock.at += 20
    for _ in range(2):
        standings.look("hetzner-2i2c")
    body = await standings.shown(aiohttp_client)
    assert "On trial, with one launch at a time" in body
    assert "aunches failed there, and the next one decides" in body
    standings.ends("hetzner-2i2c", 20, Outcome.READY, "ready")
    standings.clock.at += 60
    standings.pool.tick()
    body = await standings.shown(aiohttp_client)
    assert "Takes launches again, a few at first" in body
    assert "A launch on trial was ready; 55 % of its weight" in body


async def test_a_blind_front_door_says_so_in_words(aiohttp_client: Any) -> None:
    standings = Standings()
    assert "last good view" not in await standings.shown(aiohttp_client)
    for _ in range(3):
        for name in ("hetzner-2i2c", "gesis"):
            standings.pool.refused(name, "no answer within 2 s")
        standings.clock.at += 1
    assert standings.pool.blind_since is not None
    body = await standings.shown(aiohttp_client)
    assert "No member answers. Launches go by the last good view of them." in body
    assert re.search(r"No member answers, which .* the last good view is kept since 01:46:4\d UTC \.", body)
    assert re.search(r"Takes launches for [\w ]+ No member answers; the last good view is kept", body)
    standings.look("gesis")
    assert "is kept since" not in await standings.shown(aiohttp_client)
    standings.look("hetzner-2i2c")
    assert "last good view" not in await standings.shown(aiohttp_client)


async def test_the_waiting_room_is_told_while_somebody_waits(aiohttp_client: Any) -> None:
    app = stage.application(Settings(stage.MEMBERS), stage.pool(1e9))
    visitor = await aiohttp_client(app)
    assert "for a seat" not in words(await (await visitor.get("/status")).text())
    audience = Audience()
    audience.join()
    async with AsyncExitStack() as waiting:
        for count, said in (
            (1, "1 launch waits for a seat, for a moment."),
            (2, "2 launches wait for a seat,"),
        ):
            launch = parse_launch(f"/build/gh/u/repo-{count}/HEAD")
            room = app[status.ROOM].wait(launch, "192.0.2.1", audience, lambda: None)
            await waiting.enter_async_context(aclosing(room))
            await anext(room)
            assert said in words(await (await visitor.get("/status")).text())
    assert "for a seat" not in words(await (await visitor.get("/status")).text())


async def test_pages_work_without_any_member(aiohttp_client: Any) -> None:
    lonely = await aiohttp_client(stage.application(Settings(()), Pool(Settings(()), stage.Watch(1e9))))
    for path in ("/", "/about", "/v2/gh/u/r/HEAD"):
        assert (await lonely.get(path)).status == 200
    assert "No member is configured" in await (await lonely.get("/status")).text()


async def test_provider_data_in_the_page_is_data(front_door: Any) -> None:
    body = await (await front_door.get("/")).text()
    found = re.search(r'<script type="application/json" id="providers">(.*?)</script>', body, re.DOTALL)
    assert found is not None
    assert json.loads(found[1])["offered"][0]["id"] == "gh"


@pytest.mark.parametrize(
    ("path", "heading", "address"),
    [
        (
            "/v2/git/https%3A%2F%2Fexample.org%2Fteam%2Fapp.git/HEAD",
            "app",
            "https://example.org/team/app.git",
        ),
        ("/v2/gh/user/repo/HEAD", "user/repo", None),
    ],
)
async def test_launch_page_names_the_repository_and_not_its_whole_url(
    front_door: Any, path: str, heading: str, address: str | None
) -> None:
    body = await (await front_door.get(path)).text()
    assert words(re.search(r"<h1>.*?</h1>", body)[0]).strip() == heading  # type: ignore[index]
    assert ('<p class="soft address">' in body) == (address is not None)
    assert address is None or address in words(body)
