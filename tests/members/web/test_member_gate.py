"""Who may launch, over real connections: each check, their order, and what a refusal leaves behind."""

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import jwt
from aiohttp.test_utils import TestServer
from member_fakes import Listener
from pytest import fixture, mark
from test_member_build import EVENTS, Told, make_app
from yarl import URL

from members.core.ratelimit import RateLimiter
from members.web.gate import (
    EVERY_REQUEST,
    NEW_LAUNCH,
    Gate,
    accept,
    banned,
    build_only,
    build_token,
    logged_in,
    networks,
    rate_limit,
)
from members.web.tokens import BuildTokens

SECRET = bytes(range(32))
PATH = "/build/gh/u/r/HEAD"
NOW = 1_000_000.0
Serve = Callable[..., Any]


class Visitor:
    """One member behind a gate, and a client of it."""

    def __init__(self, server: TestServer, http: aiohttp.ClientSession, launches: Told) -> None:
        self.server, self.http, self.launches = server, http, launches

    async def ask(self, path: str = PATH, method: str = "GET", **headers: str) -> aiohttp.ClientResponse:
        url = URL(f"http://{self.server.host}:{self.server.port}{path}", encoded=True)
        sent = EVENTS | {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.http.request(method, url, headers=sent, allow_redirects=False)
        await answer.read()
        return answer

    async def event(self, path: str = PATH, **headers: str) -> dict[str, Any]:
        """The last event of a launch."""
        answer = await self.ask(path, **headers)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        last: dict[str, Any] = json.loads((await answer.text()).strip().rpartition("data: ")[2])
        return last


@fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TestServer] = []
    async with aiohttp.ClientSession() as http:

        async def start(gate: Gate, **about: Any) -> Visitor:
            launches = Told()
            launches.gate.set()
            server = TestServer(make_app(launches, Listener(), gate, **about))
            await server.start_server()
            servers.append(server)
            return Visitor(server, http, launches)

        yield start
        for server in servers:
            await server.close()


def token(**told: Any) -> str:
    claims = {"exp": int(NOW) + 300, "aud": "gh/u/r/HEAD", "origin": "front.example"}
    return jwt.encode(claims | told, SECRET, "HS256")


def gate(limit: int = 0, **more: Any) -> Gate:
    tokens = BuildTokens(SECRET, now=lambda: NOW)
    return Gate(tokens=tokens, limiter=RateLimiter(limit, 3600), now=lambda: NOW, **more)


INVALID = {"phase": "failed", "status_code": 403, "message": "Invalid build token\n"}
LET_IN = {"phase": "failed", "message": "the end\n"}
EXCEEDED = {
    "phase": "failed",
    "status_code": 429,
    "message": "Rate limit exceeded. Try again in 3600 seconds.\n",
}


def test_the_order_is_binderhubs() -> None:
    assert (banned, accept, logged_in, build_token, rate_limit, build_only) == (*EVERY_REQUEST, *NEW_LAUNCH)


async def test_an_earlier_check_speaks_first(serve: Serve) -> None:
    """A request that every check would refuse loses its objections one by one, in order."""
    ban = networks({"127.0.0.0/8": "nobody"})
    bad = f"{PATH}?build_token=x&build_only=true"
    behind = {"X_Forwarded_For": "203.0.113.9"}
    visitor = await serve(gate(1, banned=ban), trusted_proxies=("127.0.0.0/8",))
    assert (await visitor.event(bad, Accept="*/*"))["status_code"] == 403
    assert "Accept" in (await visitor.event(bad, Accept="*/*", **behind))["message"]
    assert await visitor.event(bad, **behind) == INVALID
    only = f"{PATH}?build_only=true"
    assert (await visitor.event(only, **behind))["status_code"] == 400
    assert await visitor.event(only, **behind) == EXCEEDED
    assert visitor.launches.requests == []


async def test_banned_networks_may_nothing_but_look_at_health(serve: Serve) -> None:
    visitor = await serve(gate(banned=networks({"10.0.0.0/8": "ten", "127.0.0.0/8": "<this> machine"})))
    assert await visitor.event() == {
        "phase": "failed",
        "status_code": 403,
        "message": "Requests from <this> machine are not allowed\n",
    }
    for path in ("/health", "/versions"):
        assert (await visitor.ask(path)).status == 200
    for path in (
        "/",
        "/v2/gh/u/r/HEAD",
        "/badge.svg",
        "/static/member.css",
        "/metrics",
        "/build/gh",
        "/nosuch",
    ):
        answer = await visitor.ask(path)
        assert (answer.status, answer.content_type) == (403, "text/plain"), path
    assert (await visitor.ask(method="HEAD")).status == 403
    assert (await visitor.ask(method="OPTIONS")).status == 403
    assert visitor.launches.requests == []


@mark.parametrize(
    ("network", "address"),
    [
        ("203.0.113.0/24", "203.0.113.9"),
        ("203.0.113.0/24", "::ffff:203.0.113.9"),
        ("2001:db8::/32", "2001:db8::1"),
    ],
)
async def test_bans_look_at_the_visitor_behind_a_trusted_proxy(
    serve: Serve, network: str, address: str
) -> None:
    visitor = await serve(gate(banned=networks({network: "x"})))
    assert (await visitor.event(X_Forwarded_For=address))["status_code"] == 403
    assert await visitor.event(X_Forwarded_For="198.51.100.1") == LET_IN


async def test_a_proxy_that_is_not_trusted_is_the_visitor(serve: Serve) -> None:
    visitor = await serve(gate(banned=networks({"203.0.113.0/24": "x"})), trusted_proxies=())
    assert await visitor.event(X_Forwarded_For="203.0.113.9") == LET_IN
    assert visitor.launches.requests[0].client_ip == "127.0.0.1"


@mark.parametrize(
    ("headers", "address"),
    [
        ({"X_Forwarded_For": "6.6.6.6, 203.0.113.9"}, "203.0.113.9"),
        ({"X_Forwarded_For": "6.6.6.6, 203.0.113.9, 10.1.2.3"}, "203.0.113.9"),
        ({"X_Forwarded_For": "10.1.2.3, 10.1.2.4"}, "10.1.2.3"),
        ({"X_Forwarded_For": "203.0.113.9:4711"}, "203.0.113.9"),
        ({"X_Forwarded_For": "[2001:db8::9]:4711"}, "2001:db8::9"),
        ({"X_Forwarded_For": "203.0.113.9", "X_Real_Ip": "10.1.2.3"}, "203.0.113.9"),
        ({"X_Forwarded_For": "6.6.6.6, nonsense, 10.1.2.3"}, "10.1.2.3"),
        ({"X_Real_Ip": "203.0.113.9"}, "203.0.113.9"),
        ({"X_Real_Ip": "<x>"}, "127.0.0.1"),
        ({}, "127.0.0.1"),
    ],
)
async def test_the_visitor_is_the_rightmost_address_that_is_no_proxy(
    serve: Serve, headers: dict[str, str], address: str
) -> None:
    visitor = await serve(gate(), trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))
    await visitor.event(**headers)
    assert visitor.launches.requests[0].client_ip == address


@mark.parametrize(
    "told",
    [
        "nonsense",
        "a.b.c",
        "x" * 5000,
        token(exp=int(NOW)),
        token(aud="gh/u/r/main"),
        token(origin="evil.example"),
        jwt.encode({"exp": NOW + 9, "aud": "gh/u/r/HEAD", "origin": "front.example"}, bytes(32), "HS256"),
        jwt.encode({"exp": NOW + 9, "aud": "gh/u/r/HEAD", "origin": "front.example"}, None, "none"),
        jwt.encode({"exp": NOW + 9, "aud": "gh/u/r/HEAD", "origin": "front.example"}, SECRET * 2, "HS512"),
    ],
)
async def test_a_token_that_does_not_hold_is_refused(serve: Serve, told: str) -> None:
    visitor = await serve(gate())
    path = f"{PATH}?build_token={told}"
    assert await visitor.event(path, Origin="https://front.example") == INVALID
    assert visitor.launches.requests == []


async def test_a_token_that_holds_is_not_counted(serve: Serve) -> None:
    visitor = await serve(gate(1))
    path = f"{PATH}?build_token={token()}"
    for _ in range(3):
        answer = await visitor.ask(path, Origin="https://front.example")
        assert "the end" in await answer.text()
        assert "X-RateLimit-Limit" not in answer.headers
    assert [request.visit.build_token for request in visitor.launches.requests] == [True] * 3


async def test_a_token_is_for_the_raw_spec_with_its_slashes(serve: Serve) -> None:
    visitor = await serve(gate(), base_url="/b/")
    raw = "git/https%3A%2F%2Fhost%2Frepo/main/"
    path = f"/b/build/{raw}?build_token={token(aud=raw)}"
    assert await visitor.event(path, Origin="https://front.example") == LET_IN
    assert visitor.launches.requests[0].spec == "https%3A%2F%2Fhost%2Frepo/main"
    decoded = token(aud="git/https://host/repo/main/")
    assert (
        await visitor.event(f"/b/build/{raw}?build_token={decoded}", Origin="https://front.example")
        == INVALID
    )


async def test_without_an_origin_header_the_host_counts(serve: Serve) -> None:
    visitor = await serve(gate())
    assert await visitor.event(f"{PATH}?build_token={token()}", Host="front.example") == LET_IN
    assert await visitor.event(f"{PATH}?build_token={token()}", Host="other.example") == INVALID


async def test_a_sandboxed_frame_launches_like_anybody_without_a_token(serve: Serve) -> None:
    visitor = await serve(gate(1))
    path = f"{PATH}?build_token={token()}"
    assert await visitor.event(path, Origin="null") == LET_IN
    assert await visitor.event(path, Origin="null") == EXCEEDED
    assert [request.visit.build_token for request in visitor.launches.requests] == [False]


async def test_an_address_has_ten_launches_and_is_told_how_many_are_left(serve: Serve) -> None:
    visitor = await serve(gate(10))
    for left in range(9, -1, -1):
        answer = await visitor.ask()
        assert answer.headers["X-RateLimit-Remaining"] == str(left)
        assert answer.headers["X-RateLimit-Reset"] == str(int(NOW) + 3600)
        assert answer.headers["X-RateLimit-Limit"] == "10"
    answer = await visitor.ask()
    assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (200, "0")
    assert await visitor.event() == EXCEEDED
    assert await visitor.event(X_Forwarded_For="203.0.113.9") == LET_IN
    assert len(visitor.launches.requests) == 11


async def test_what_launches_nothing_is_not_counted(serve: Serve) -> None:
    visitor = await serve(gate(1))
    await visitor.ask(method="HEAD")
    await visitor.ask(method="OPTIONS")
    await visitor.ask(Accept="*/*")
    await visitor.ask("/v2/gh/u/r/HEAD")
    assert await visitor.event() == LET_IN


async def test_building_alone_needs_the_api_only_mode(serve: Serve) -> None:
    visitor = await serve(gate())
    recorded = "Building but not launching is not permitted when the API only mode was not enabled by setting"
    refused = await visitor.event(f"{PATH}?build_only=True")
    assert refused == {
        "phase": "failed",
        "status_code": 400,
        "message": f"{recorded} `enable_api_only_mode` to True. \n",
    }
    assert await visitor.event(f"{PATH}?build_only=false") == LET_IN
    open_to_it = await serve(gate(api_only=True))
    assert await open_to_it.event(f"{PATH}?build_only=TRUE") == LET_IN
    assert open_to_it.launches.requests[0].build_only


async def test_api_only_mode_has_no_pages(serve: Serve) -> None:
    visitor = await serve(gate(api_only=True))
    for path in ("/health", "/versions", "/metrics", "/api/repoproviders", "/static/member.css"):
        assert (await visitor.ask(path)).status == 200, path
    for path in ("/", "/v2/gh/u/r/HEAD", "/repo/u/r", "/badge.svg", "/about", "/logo_social.png"):
        assert (await visitor.ask(path)).status == 404, path
    assert await visitor.event() == LET_IN


async def test_what_the_log_is_to_know_of_a_visit(serve: Serve) -> None:
    visitor = await serve(gate())
    await visitor.event(Host="member.example", Origin="https://site.example")
    await visitor.event(Host="member.example", Sec_Fetch_Site="cross-site")
    await visitor.event(Host="member.example")
    told = [request.visit for request in visitor.launches.requests]
    assert [one.origin for one in told] == ["member.example"] * 3
    assert [one.request_origin for one in told] == ["https://site.example", "cross-site", ""]
    behind = await serve(gate(), launch_host="https://front.example/")
    await behind.event()
    assert behind.launches.requests[0].visit.origin == "front.example"


async def test_tokens_of_a_page_are_good_at_once_and_for_that_launch(serve: Serve) -> None:
    """With the real clock: what the member's own page gets opens its own launch and no other."""
    visitor = await serve(Gate(tokens=BuildTokens(SECRET), limiter=RateLimiter(1, 60), now=time.time))
    text = await (await visitor.ask("/v2/gh/u/r/HEAD", Host="m.example")).text()
    config = json.loads(text.partition("window.pageConfig = ")[2].partition(";</script>")[0])
    claims = jwt.decode(config["buildToken"], SECRET, ["HS256"], audience="gh/u/r/HEAD")
    assert claims["origin"] == "m.example"
    assert 290 < claims["exp"] - time.time() <= 300
    for _ in range(3):
        assert await visitor.event(f"{PATH}?build_token={config['buildToken']}", Host="m.example") == LET_IN
    other = f"/build/gh/u/other/HEAD?build_token={config['buildToken']}"
    assert await visitor.event(other, Host="m.example") == INVALID
