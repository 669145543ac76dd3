"""Where visitors log in: which addresses ask for it, and what a launch knows of who asked.

The login itself is tested against a real JupyterHub in tests/members/hub/test_login.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiohttp.test_utils import TestServer
from member_fakes import Listener, until
from pytest import fixture, mark
from test_member_build import EVENTS, GRACE, ID, Told, make_app
from yarl import URL

from members.core.model import LoginFailed
from members.core.ratelimit import RateLimiter
from members.web.gate import Gate
from members.web.login import Visitors

PATH = "/build/gh/u/r/HEAD"
SOON = aiohttp.ClientTimeout(10)


class Tokens:
    """The port `Login`: whose API tokens are whose. One of them makes the hub fall silent."""

    pause = 0.0  # seconds that the hub takes to say so

    def page(self, state: str) -> str:
        return f"https://hub.example.org/login?state={state}"

    async def who(self, code: str) -> str:
        return code

    async def whose(self, token: str) -> str | None:
        if token == "silence":
            raise LoginFailed("JupyterHub does not answer.")
        await asyncio.sleep(self.pause)
        return {"adas": "ada", "graces": "grace"}.get(token)


@fixture
def launches() -> Told:
    told = Told()
    told.gate.set()
    return told


@fixture
async def member(launches: Told) -> AsyncIterator[aiohttp.ClientSession]:
    gate = Gate(limiter=RateLimiter(1, 3600))
    app = make_app(launches, Listener(), gate, visitors=Visitors(Tokens(), secure=True))
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession(base_url=server.make_url("/"), timeout=SOON) as http,
    ):
        yield http


async def event(member: aiohttp.ClientSession, **headers: str) -> dict[str, object]:
    async with member.get(PATH, headers=EVENTS | headers) as answer:
        assert answer.status == 200
        last: dict[str, object] = json.loads((await answer.text()).strip().rpartition("data: ")[2])
        return last


async def test_a_strangers_launch_is_forbidden(member: aiohttp.ClientSession, launches: Told) -> None:
    for headers in ({}, {"Authorization": "Bearer nobodys"}, {"Cookie": "binder-visitor=e30.e30."}):
        assert await event(member, **headers) == {
            "phase": "failed",
            "status_code": 403,
            "message": "Forbidden\n",
        }
    assert launches.requests == []


async def test_a_users_launch_is_theirs_and_is_not_counted(
    member: aiohttp.ClientSession, launches: Told
) -> None:
    for _ in range(3):
        assert (await event(member, Authorization="token adas"))["message"] == "the end\n"
    assert [request.user for request in launches.requests] == ["ada"] * 3


async def test_nobody_comes_back_to_another_visitors_launch(
    member: aiohttp.ClientSession, launches: Told
) -> None:
    """Even with the id of its events, which is a secret: the stream tells the session's token."""
    launches.gate.clear()
    came = {"Last-Event-ID": f"{ID}.1"}
    async with member.get(PATH, headers=EVENTS | {"Authorization": "token adas"}) as first:
        assert await first.content.readline() == f"id: {ID}.1\n".encode()
        assert (await event(member, **came))["message"] == "Forbidden\n"
        launches.gate.set()
        assert (await event(member, **came, Authorization="token graces"))["phase"] == "failed"
        assert [request.user for request in launches.requests] == ["ada", "grace"], "a launch of her own"


async def test_a_launch_that_is_given_up_while_the_hub_is_asked_begins_anew(launches: Told) -> None:
    hub = Tokens()
    async with (
        TestServer(make_app(launches, Listener(), visitors=Visitors(hub, secure=True))) as server,
        aiohttp.ClientSession(base_url=server.make_url("/"), timeout=SOON) as http,
    ):
        launches.gate.clear()
        ada = {"Authorization": "token adas"}
        async with http.get(PATH, headers=EVENTS | ada) as first:
            await first.content.readline()
        hub.pause = 2 * GRACE
        came = asyncio.create_task(event(http, **ada, **{"Last-Event-ID": f"{ID}.1"}))
        await until(lambda: launches.left == 1)
        launches.gate.set()
        assert (await came)["message"] == "the end\n"
        assert len(launches.requests) == 2


async def test_a_hub_that_cannot_tell_is_the_members_fault(
    member: aiohttp.ClientSession, launches: Told
) -> None:
    assert (await event(member, Authorization="token silence"))["status_code"] == 502
    assert launches.requests == []
    async with member.get("/", headers={"Authorization": "token silence"}) as page:
        assert page.status == 502


@mark.parametrize("path", ["/", "/v2/gh/u/r/HEAD", "/repo/u/r", "/about"])
async def test_pages_lead_to_the_login(member: aiohttp.ClientSession, path: str) -> None:
    async with member.get(path, allow_redirects=False) as page:
        assert page.status == 302
        assert page.headers["Location"].startswith("https://hub.example.org/login?state=")
        assert "SameSite=Lax; Secure" in page.headers["Set-Cookie"]
    async with member.get(path, headers={"Authorization": "Bearer adas"}, allow_redirects=False) as page:
        assert not page.headers.get("Location", "").startswith("https://hub.example.org/")


@mark.parametrize("path", ["/health", "/versions", "/metrics", "/api/repoproviders", "/badge_logo.svg"])
async def test_machines_are_not_asked(member: aiohttp.ClientSession, path: str) -> None:
    async with member.get(path, allow_redirects=False) as answer:
        assert answer.status in (200, 503)


async def test_where_nobody_logs_in_the_callback_is_a_page_like_any_other(launches: Told) -> None:
    async with (
        TestServer(make_app(launches, Listener())) as server,
        aiohttp.ClientSession(base_url=server.make_url("/"), timeout=SOON) as http,
        http.get("/oauth_callback?code=x&state=y") as page,
    ):
        assert page.status == 200


def state_of(page: aiohttp.ClientResponse) -> str:
    return parse_qs(urlsplit(page.headers["Location"]).query)["state"][0]


async def address(member: aiohttp.ClientSession) -> URL:
    async with member.get("/static/member.css") as answer:
        return answer.url.origin()


def browser(base: URL) -> aiohttp.ClientSession:
    """One that keeps cookies of addresses without a name, and sends those meant for https as well."""
    jar = aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=base)
    return aiohttp.ClientSession(base_url=base, cookie_jar=jar)


@mark.parametrize("path", ["//evil.example/x?y", "/\\evil.example/", "///evil.example"])
async def test_nobody_is_led_to_another_site_after_the_login(
    member: aiohttp.ClientSession, path: str
) -> None:
    """`https://member//evil.example/` is a page of the member; as a Location it is one of evil.example."""
    base = await address(member)
    async with browser(base) as http:
        async with http.get(URL(f"{base}{path}", encoded=True), allow_redirects=False) as page:
            query = {"state": state_of(page), "code": "ada"}
        async with http.get("/oauth_callback", params=query, allow_redirects=False) as back:
            assert back.status == 302
            location = back.headers["Location"]
    assert location.startswith("/evil.example"), location


async def test_pages_that_are_opened_at_once_all_find_their_way_back(member: aiohttp.ClientSession) -> None:
    """As when a browser restores its tabs, or asks for an icon beside the page."""
    async with browser(await address(member)) as http:
        states = []
        for path in ("/v2/gh/u/one/HEAD", "/v2/gh/u/two/HEAD"):
            async with http.get(path, allow_redirects=False) as page:
                states.append(state_of(page))
        for state, name in zip(states, ("one", "two"), strict=True):
            query = {"state": state, "code": "ada"}
            async with http.get("/oauth_callback", params=query, allow_redirects=False) as back:
                assert (back.status, back.headers.get("Location")) == (302, f"/v2/gh/u/{name}/HEAD")


@mark.parametrize(
    ("site", "message"),
    [("same-origin", "the end\n"), ("same-site", "Forbidden\n"), ("cross-site", "Forbidden\n")],
)
async def test_no_other_sites_page_launches_with_a_visitors_cookie(
    member: aiohttp.ClientSession, site: str, message: str
) -> None:
    async with browser(await address(member)) as http:
        async with http.get("/", allow_redirects=False) as page:
            query = {"state": state_of(page), "code": "ada"}
        async with http.get("/oauth_callback", params=query, allow_redirects=False) as back:
            assert back.status == 302
        assert (await event(http, **{"Sec-Fetch-Site": site}))["message"] == message
        adas = {"Sec-Fetch-Site": site, "Authorization": "token adas"}
        assert (await event(http, **adas))["message"] == "the end\n", "who has a token means it"


@mark.parametrize("cookie", ["binder-visitor=\udcff.\udcff.x", "binder-visitor=a.b.c", "binder-login=\udcff"])
async def test_cookies_that_nobody_made_here_are_no_error(member: aiohttp.ClientSession, cookie: str) -> None:
    base = await address(member)
    for path, status in (("/oauth_callback?state=x", b"400"), ("/", b"302")):
        reader, writer = await asyncio.open_connection(base.host, base.port)
        head = f"GET {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n"
        writer.write(head.encode("utf-8", "surrogateescape"))
        assert (await reader.readline()).split()[1] == status
        writer.close()
