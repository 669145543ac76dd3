"""Visitors who log in: a real JupyterHub with the dummy authenticator, and a member's pages in front of it."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from members.adapters.hub_client import HubClient
from members.adapters.hub_login import HubLogin
from members.adapters.hub_parameters import Accounts
from members.core.model import AlreadyRunning, Isolation
from members.web.keys import ABOUT, About
from members.web.login import VISITORS, Visitors, for_users
from tests.members.hub.conftest import (
    Running,
    client_of,
    fence,
    free_port,
    hub_options,
    running,
    session_request,
    unpack_images,
)

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]
PASSWORD = "open-sesame"


@dataclass
class Member:
    """A hub with accounts and a member's pages before it."""

    hub: Running
    url: str
    client: HubClient
    visitors: Visitors


async def _whoami(request: web.Request) -> web.Response:
    return web.Response(text=f"page of {await request.app[VISITORS].user(request)}")


def _pages(hub: Running, url: str) -> web.Application:
    login = HubLogin(
        hub.http,
        api_url=hub.hub.api_url,
        public_url=hub.url,
        secret=hub.hub.api_token,
        callback_url=f"{url}oauth_callback",
    )
    visitors = Visitors(login, secure=False)
    app = web.Application()
    app[VISITORS] = visitors
    app[ABOUT] = About("m", "/", None, "*", "none", {}, ())
    app.router.add_get("/oauth_callback", visitors.come_back)
    app.router.add_get("/{any:.*}", for_users(_whoami))
    return app


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[None, 1], ids=["one server", "named servers"]
)
async def member(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment: Path,
    proxy_command: list[str],
) -> AsyncIterator[Member]:
    state_dir = tmp_path_factory.mktemp("login") / "state"
    unpack_images(state_dir, environment)
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    accounts = Accounts(
        authenticator="dummy",
        config={"DummyAuthenticator": {"password": PASSWORD}, "Authenticator": {"allow_all": True}},
        callback_url=f"{url}oauth_callback",
        named_servers=request.param,
    )
    options = hub_options(state_dir, fence(Isolation.BUBBLEWRAP), proxy_command)
    async with running({**options, "accounts": accounts}) as hub:
        app = _pages(hub, url)
        async with TestServer(app, port=port) as server:
            client = client_of(
                hub.http, hub.hub.api_url, hub.hub.api_token, hub.url, named_servers=request.param
            )
            yield Member(hub, str(server.make_url("/")), client, app[VISITORS])


def _browser() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def _log_in(
    browser: aiohttp.ClientSession, url: str, name: str, password: str = PASSWORD
) -> tuple[int, str]:
    """Follows the redirects to the hub's login page and fills it in, as a person would."""
    async with browser.get(url) as page:
        text = await page.text()
        form = re.search(r'<form action="([^"]+)"', text)
        assert form is not None, text
        token = re.search(r'name="_xsrf" value="([^"]+)"', text)
        assert token is not None
        action = URL(f"{page.url.origin()}{html.unescape(form[1])}", encoded=True)
    fields = {"username": name, "password": password, "_xsrf": token[1]}
    async with browser.post(action, data=fields) as answer:
        return answer.status, f"{answer.url.raw_path_qs} {await answer.text()}"


async def test_a_stranger_logs_in_and_comes_to_the_page_they_wanted(member: Member) -> None:
    async with _browser() as browser:
        wanted = f"{member.url}v2/gh/user/re%2Fpo/HEAD?urlpath=lab"
        status, came_to = await _log_in(browser, wanted, "ada")
        assert (status, came_to) == (200, "/v2/gh/user/re%2Fpo/HEAD?urlpath=lab page of ada")
        async with browser.get(member.url) as again:
            assert await again.text() == "page of ada"


async def test_a_wrong_password_leads_nowhere(member: Member) -> None:
    async with _browser() as browser:
        status, _ = await _log_in(browser, member.url, "ada", "guessed")
        assert status == 403
        async with browser.get(member.url, allow_redirects=False) as page:
            assert page.status == 302


async def test_a_login_begun_in_another_browser_is_refused(member: Member) -> None:
    """Else a visitor could be logged in as somebody who wants to watch them."""
    async with _browser() as attacker, _browser() as victim:
        async with attacker.get(member.url, allow_redirects=False) as begun:
            state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
        async with victim.get(member.url, allow_redirects=False):
            pass
        query = {"state": state, "code": "whatever"}
        async with victim.get(f"{member.url}oauth_callback", params=query, allow_redirects=False) as back:
            assert back.status == 400
        async with victim.get(f"{member.url}oauth_callback", allow_redirects=False) as back:
            assert back.status == 400


async def test_a_code_that_the_hub_does_not_know(member: Member) -> None:
    async with _browser() as browser:
        async with browser.get(member.url, allow_redirects=False) as begun:
            state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
        query = {"state": state, "code": "forged"}
        async with browser.get(f"{member.url}oauth_callback", params=query) as back:
            assert back.status == 502
            assert "does not know this login" in await back.text()


async def test_a_users_api_token_is_as_good_as_a_login(member: Member) -> None:
    await _make_user(member, "grace")
    login = {"auth": {"username": "grace", "password": PASSWORD}}
    async with member.hub.http.post(f"{member.hub.hub.api_url}users/grace/tokens", json=login) as made:
        answer = await made.json()
    assert "token" in answer, answer
    token = answer["token"]
    for kind in ("Bearer", "token"):
        async with member.hub.http.get(member.url, headers={"Authorization": f"{kind} {token}"}) as page:
            assert await page.text() == "page of grace"
    headers = {"Authorization": "Bearer nobodys"}
    async with member.hub.http.get(member.url, headers=headers, allow_redirects=False) as page:
        assert page.status == 302


async def test_a_forged_cookie_is_nobodys(member: Member) -> None:
    cookies = {"binder-visitor": "e30.e30."}
    async with member.hub.http.get(member.url, cookies=cookies, allow_redirects=False) as page:
        assert page.status == 302


async def test_sessions_are_the_users_own(member: Member, request: pytest.FixtureRequest) -> None:
    await _make_user(member, "linus")
    wanted = replace(session_request(), user="linus")
    first, second = member.client.create(wanted), member.client.create(wanted)
    async for _ in first.progress():
        pass
    try:
        assert first.url.startswith(f"{member.hub.url}user/linus/")
        status, _ = await member.hub.text(f"{first.url}api/status?token={wanted.token}")
        assert status == 200
        with pytest.raises(AlreadyRunning, match="User linus already has"):
            async for _ in second.progress():
                pass
        await second.remove()
        status, _ = await member.hub.text(f"{first.url}api/status?token={wanted.token}")
        assert status == 200, "what ran before is not touched"
    finally:
        await first.remove()
    status, _ = await member.hub.text(f"{first.url}api/status?token={wanted.token}")
    assert status != 200
    assert await _knows(member, "linus"), "the user stays when their server goes"


async def _make_user(member: Member, name: str) -> None:
    headers = {"Authorization": f"token {member.hub.hub.api_token}"}
    async with member.hub.http.post(f"{member.hub.hub.api_url}users/{name}", headers=headers) as made:
        assert made.status in (201, 409)


async def _knows(member: Member, name: str) -> bool:
    headers = {"Authorization": f"token {member.hub.hub.api_token}"}
    async with member.hub.http.get(f"{member.hub.hub.api_url}users/{name}", headers=headers) as found:
        return found.status == 200
