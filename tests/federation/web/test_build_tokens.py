"""Build tokens through the front door: its pages make them, its relay knows them again and renews them."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from door_stage import READY, SPEC, Door, StockMember, event, plays

from federation.core.rules import BuildTokenRules, LaunchRules, Mode

Pair = tuple[StockMember, StockMember]

SECRET = bytes(range(32))
RULES = BuildTokenRules(SECRET, 300.0)
AUDIENCE = "gh/binder-examples/requirements/HEAD"
PAGE = f"/v2/{AUDIENCE}"


def token_in(address: str) -> str | None:
    return parse_qs(urlsplit(address).query).get("build_token", [None])[0]


async def build_address(door: Door, page: str = PAGE) -> str:
    """Where the launch page follows its launch."""
    found = re.search(r'data-build="([^"]+)"', await door.text(page))
    assert found is not None
    return found[1].replace("&amp;", "&")


def told(token: str | None, audience: str = AUDIENCE) -> dict[str, Any]:
    assert token is not None
    claims: dict[str, Any] = jwt.decode(token, SECRET, ["HS256"], audience=audience)
    return claims


def made(**claims: Any) -> str:
    origin = {"origin": "binder.example.org", "aud": AUDIENCE, "exp": int(time.time()) + 300}
    return jwt.encode(origin | claims, SECRET, "HS256")


async def test_a_launch_page_carries_a_token_for_its_own_launch(members: Pair) -> None:
    async with Door(
        members[0].configured(), public_url="https://Binder.example.org", build_tokens=RULES
    ) as door:
        claims = told(token_in(await build_address(door)))
        assert claims["origin"] == "binder.example.org"
        assert 290 < claims["exp"] - time.time() <= 300
        other = "/v2/git/https%3A%2F%2Fhost%2Frepo/x%20y"
        address = await build_address(door, other + "?member=alpha")
        async with door.ask("/v2/git/https%3A%2F%2Fhost%2Frepo/HEAD") as page:
            assert page.headers["Cache-Control"] == "no-store", (
                "a tab that is restored gets a token that holds"
            )
        assert address.startswith("/build/git/https%3A%2F%2Fhost%2Frepo/x%20y?member=alpha&build_token=")
        told(token_in(address), "git/https%3A%2F%2Fhost%2Frepo/x%20y")


async def test_without_a_public_url_the_host_is_the_site(members: Pair) -> None:
    async with Door(members[0].configured(), build_tokens=RULES) as door:
        address = await build_address(door)
        assert told(token_in(address))["origin"] == f"127.0.0.1:{door.url.port}"
        await door.launch(address)
    seen = members[0].requests[0]
    assert told(seen.query["build_token"])["origin"] == urlsplit(seen.headers["Origin"]).netloc


async def test_without_a_secret_there_is_no_token(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        assert token_in(await build_address(door)) is None


async def test_a_member_gets_a_fresh_token_with_the_origin_that_it_is_told(members: Pair) -> None:
    old = made(exp=int(time.time()) + 5)
    async with Door(
        members[0].configured(), public_url="https://binder.example.org", build_tokens=RULES
    ) as door:
        launched = await door.launch(f"{SPEC}?a=%2F&build_token={old}&b")
    assert launched.last == READY
    seen = members[0].requests[0]
    assert seen.raw_path.startswith(f"{SPEC}?a=%2F&b&build_token=")
    claims = told(seen.query["build_token"])
    assert claims["exp"] > time.time() + 250
    assert claims["origin"] == urlsplit(seen.headers["Origin"]).netloc == "binder.example.org"


async def test_a_launch_that_moves_on_takes_a_token_along(members: Pair) -> None:
    for member in members:
        member.play = plays(event(phase="failed", status_code=500, message="no\n"))
    async with Door(
        *(member.configured() for member in members),
        public_url="https://binder.example.org",
        build_tokens=RULES,
    ) as door:
        await door.launch(f"{SPEC}?build_token={made()}")
    for member in members:
        assert told(member.requests[0].query["build_token"])["origin"] == "binder.example.org"


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("nonsense", {}),
        ("x" * 4097, {}),
        ("", {}),
        (made(exp=1), {}),
        (made(aud="gh/other/repo/HEAD"), {}),
        (made(origin="evil.example"), {}),
        (jwt.encode({"exp": 9**10, "aud": AUDIENCE, "origin": "binder.example.org"}, bytes(32), "HS256"), {}),
        (made(), {"Origin": "https://evil.example"}),
        (made(), {"Origin": "null"}),
    ],
)
async def test_what_does_not_hold_is_passed_on_as_it_came(
    token: str, headers: dict[str, str], members: Pair
) -> None:
    async with (
        Door(members[0].configured(), public_url="https://binder.example.org", build_tokens=RULES) as door,
        door.ask(f"{SPEC}?build_token={token}", headers={"Accept": "text/event-stream", **headers}) as answer,
    ):
        assert answer.status == 200
        await answer.read()
    if len(token) <= 4000:
        assert members[0].requests[0].query.get("build_token", "") == token


async def test_a_redirected_launch_keeps_its_query_as_it_is(members: Pair) -> None:
    token = made()
    async with (
        Door(members[0].configured(), launch=LaunchRules(Mode.REDIRECT), build_tokens=RULES) as door,
        door.ask(f"{SPEC}?build_token={token}&q=%2F") as answer,
    ):
        assert answer.status == 307
        assert answer.headers["Location"].endswith(f"{SPEC}?build_token={token}&q=%2F")
