"""Asking a front door, and its answers as tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import StringIO

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from door_stage import Door, StockMember
from rich.console import Console, RenderableType

from federation.core.model import Member, MemberCosts
from federation.follow import ask as asking
from federation.follow.ask import Refused, ask
from federation.follow.costs import costs_table
from federation.follow.stream import Unreachable
from federation.follow.tables import explanation, members_table

Pair = tuple[StockMember, StockMember]


def printed(shown: RenderableType) -> str:
    out = StringIO()
    Console(file=out, width=140, highlight=False).print(shown)
    return out.getvalue()


@pytest.fixture
async def odd() -> AsyncIterator[str]:
    """A server that is no front door."""

    async def body(request: web.Request) -> web.Response:
        return web.Response(text=request.query["body"], status=int(request.query.get("status", "200")))

    app = web.Application()
    app.router.add_get("/{path:.*}", body)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_members_are_a_table(members: Pair) -> None:
    async with Door(members[0].configured(3.0, seats=7), Member("dead", "http://127.0.0.1:1", 1.0)) as door:
        await door.launch()
        text = printed(members_table(await ask(str(door.url), "/federation/v1/members")))
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    alpha, dead = rows["alpha"], rows["dead"]
    for cell in ("healthy", "3 of 3", "100 % of 100 %", "7"):
        assert cell in alpha
    for cell in ("ejected", "0 of 1", "0 % of 0 %", "refused the connection"):
        assert cell in dead


async def test_costs_are_a_table(members: Pair) -> None:
    fee = members[0].configured(costs=MemberCosts(monthly=300.0, cap=400.0))
    async with Door(fee, members[1].configured()) as door:
        text = printed(costs_table(await ask(str(door.url), "/federation/v1/costs")))
    assert "400.00" in text and "100 %" in text and "In USD" in text
    answer = {
        "members": [
            {"name": "a\x1b[2J", "pace": 0.62, "pace_reason": "paced", "redirected": 3, "launches": 2}
        ]
    }
    text = printed(costs_table(answer))
    assert "62 %" in text and "2 + 3" in text and "a: paced" in text and "\x1b" not in text


async def test_an_explanation_says_where_and_why_not_elsewhere(members: Pair) -> None:
    alpha, beta = members
    dead = Member("dead", "http://127.0.0.1:1", 1.0)
    async with Door(alpha.configured(1e9), beta.configured(1e-9), dead) as door:
        spec = {"spec": "git/https%3A%2F%2Fgit.example.org%2Fr/HEAD"}
        text = printed(
            explanation(await ask(f"{door.url}/", "/federation/v1/explain", **spec, member="beta"))
        )
        with pytest.raises(Refused, match="member: 'nobody', expected one of alpha, beta, dead"):
            await ask(str(door.url), "/federation/v1/explain", **spec, member="nobody")
    assert "Goes to alpha: this repository's own member." in text
    assert "beta is not chosen: number 2 of 2" in text
    assert "dead" in text and "ejected: refused the connection" in text


@pytest.mark.parametrize("body", ["", "<html>", "[]", "[" * 10_000])
async def test_what_is_no_front_door_is_told(odd: str, body: str) -> None:
    with pytest.raises(Unreachable, match="is this the address of a front door"):
        await ask(odd, "/federation/v1/members", body=body)


async def test_a_front_door_that_fails_is_none(odd: str) -> None:
    with pytest.raises(Unreachable, match="answered 502"):
        await ask(odd, "/x", body='{"message": "down"}', status="502")


async def test_an_endless_answer_is_cut(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_LARGEST", 1000)
    with pytest.raises(Unreachable, match="more than 1000 bytes"):
        await ask(odd, "/x", body="x" * 4000)


async def test_nobody_there_is_told(unused_tcp_port: int) -> None:
    with pytest.raises(Unreachable, match=str(unused_tcp_port)):
        await ask(f"http://127.0.0.1:{unused_tcp_port}", "/federation/v1/members")


@pytest.mark.parametrize("odd", [None, 7, "x", [1], {"name": 1}, [{"name": None, "share": 3, "tally": []}]])
def test_odd_answers_make_empty_cells(odd: object) -> None:
    printed(members_table({"members": odd}))
    printed(costs_table({"members": odd}))
    printed(explanation({"candidates": odd, "exclusions": odd, "asked": odd, "why": odd}))


def test_no_answer_steers_the_terminal() -> None:
    nasty = "a\x1b[2Jb\x07\x9b1m\u202e[red]c"
    answer = {
        "why": nasty,
        "candidates": [{"name": nasty, "signals": {nasty: {"value": nasty, "age": nasty}}}],
    }
    text = printed(explanation(answer)) + printed(members_table({"members": [{"name": nasty}]}))
    assert not set(text) & set("\x1b\x07\x9b\u202e") and "[red]c" in text
