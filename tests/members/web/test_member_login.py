"""Where visitors log in: which addresses ask for it, and what a launch knows of who asked.

The login itself is tested against a real JupyterHub in tests/members/hub/test_login.py.
"""

import json
from collections.abc import AsyncIterator

import aiohttp
from aiohttp.test_utils import TestServer
from member_fakes import Listener
from pytest import fixture, mark
from test_member_build import EVENTS, Told, make_app

from members.core.model import LoginFailed
from members.core.ratelimit import RateLimiter
from members.web.gate import Gate
from members.web.login import Visitors

PATH = "/build/gh/u/r/HEAD"


class Tokens:
    """The port `Login`: whose API tokens are whose. One of them makes the hub fall silent."""

    def page(self, state: str) -> str:
        return f"https://hub.example.org/login?state={state}"

    async def who(self, code: str) -> str:
        return code

    async def whose(self, token: str) -> str | None:
        if token == "silence":
            raise LoginFailed("JupyterHub does not answer.")
        return {"adas": "ada"}.get(token)


@fixture
def launches() -> Told:
    told = Told()
    told.gate.set()
    return told


@fixture
async def member(launches: Told) -> AsyncIterator[aiohttp.ClientSession]:
    gate = Gate(limiter=RateLimiter(1, 3600))
    app = make_app(launches, Listener(), gate, visitors=Visitors(Tokens(), secure=True))
    async with TestServer(app) as server, aiohttp.ClientSession(base_url=server.make_url("/")) as http:
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
        aiohttp.ClientSession(base_url=server.make_url("/")) as http,
        http.get("/oauth_callback?code=x&state=y") as page,
    ):
        assert page.status == 200
