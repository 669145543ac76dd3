"""How people log in to the console and out again, and what guessing at it gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from door_stage import Door

from federation.core.rules import Operator, Role
from federation.web import operator
from federation.web.identity import COOKIE, digest

TOKEN = "a-right-token"
PEOPLE = (Operator("olga", Role.OPERATOR, (digest(TOKEN),)),)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door(operators=PEOPLE) as door:
        yield door


def post(door: Door, token: str, to: str = "login", **headers: str) -> Any:
    origin = str(door.url).rstrip("/")
    told = {"Origin": origin, **headers}
    path = f"{origin}/operator/{to}"
    return door.session.post(path, data={"token": token}, headers=told, allow_redirects=False)


async def test_a_token_becomes_a_session_that_ends(door: Door) -> None:
    assert "Your token" in await door.text("/operator")
    async with post(door, f" {TOKEN}\n") as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/operator")
        cookie = answer.cookies[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert not cookie["secure"]
        assert TOKEN not in str(answer.headers)
    session = {"Cookie": f"{COOKIE}={cookie.value}"}
    async with door.ask("/operator", headers=session) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        page = await answer.text()
    assert "Log out olga" in page
    async with post(door, "", "logout", **session) as answer:
        assert answer.status == 303
    async with door.ask("/operator", headers=session) as answer:
        assert "Your token" in await answer.text()


async def test_the_cookie_is_for_https_alone_where_that_is_the_way_in() -> None:
    async with Door(operators=PEOPLE, trusted_proxies=("127.0.0.1",)) as door:
        origin = str(door.url).rstrip("/").replace("http:", "https:")
        async with post(door, TOKEN, **{"X-Forwarded-Proto": "https", "Origin": origin}) as answer:
            assert answer.cookies[COOKIE]["secure"]


async def test_a_wrong_token_is_answered_late_and_not_repeated(door: Door) -> None:
    async with post(door, "guessed-secret") as answer:
        assert answer.status == 401
        page = await answer.text()
    assert "not known here" in page
    assert "guessed-secret" not in page
    assert COOKIE not in answer.cookies


async def test_another_sites_form_is_refused(door: Door) -> None:
    for to in ("login", "logout"):
        async with post(door, TOKEN, to, Origin="https://elsewhere.example") as answer:
            assert answer.status == 403
            assert COOKIE not in answer.cookies


async def test_guessing_keeps_nobody_out(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "FIRST", 60.0)
    monkeypatch.setattr(operator, "LONGEST_WAIT", 60.0)
    monkeypatch.setattr(operator, "AT_ONCE", 3)
    wrong = door.runner.app[operator.WRONG]

    async def guess() -> int:
        async with post(door, "wrong") as answer:
            return int(answer.status)

    guesses = [asyncio.create_task(guess()) for _ in range(4)]
    done, waiting = await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED, timeout=20)
    assert [task.result() for task in done] == [429]
    assert (len(waiting), wrong.waiting) == (3, 3)
    async with post(door, TOKEN) as answer:
        assert answer.status == 303
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def test_each_further_guess_waits_longer_up_to_a_limit() -> None:
    wrong = operator.WrongTokens()
    pauses = [wrong.pause("a", now=float(i)) for i in range(20)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[1], pauses[-1]) == (0.25, 0.5, 4.0)
    assert wrong.pause("b", now=20.0) == 0.25  # somebody else
    assert wrong.pause("a", now=20.0 + operator.FORGET) == 0.25
    for i in range(2 * operator.ADDRESSES):
        wrong.pause(str(i), now=30.0)
    assert len(wrong._counts) == operator.ADDRESSES


async def test_without_operators_the_page_says_what_to_do() -> None:
    async with Door() as door:
        assert "No operator is configured" in await door.text("/operator")
