"""All routes of the front door together: pages, badges, launches and what programs ask."""

from __future__ import annotations

import json

import pytest
from aiohttp import ClientTimeout
from door_stage import SPEC, Door, StockMember

from federation.core.model import Member
from federation.core.rules import WaitingRules

Pair = tuple[StockMember, StockMember]
DEAD = Member("dead", "http://127.0.0.1:1", 1.0)


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/", 200, "text/html"),
        ("/v2/gh/binder-examples/requirements/HEAD?urlpath=lab", 200, "text/html"),
        ("/status", 200, "text/html"),
        ("/about", 200, "text/html"),
        ("/badge_logo.svg", 200, "image/svg+xml"),
        ("/api/repoproviders", 200, "application/json"),
        ("/versions", 200, "application/json"),
        ("/metrics", 200, "text/plain"),
        ("/active_hosts", 200, "application/json"),
        ("/federation/v1/members", 200, "application/json"),
        ("/health", 503, "application/json"),
        ("/nothing/here", 404, "text/html"),
        (SPEC, 200, "text/event-stream"),
    ],
)
async def test_every_address_answers_while_all_members_are_down(path: str, status: int, kind: str) -> None:
    """Without a waiting room, where a launch would stay; see below."""
    headers = {"Accept": f"{kind}, text/event-stream"}
    async with Door(DEAD, waiting=WaitingRules(places=0)) as door:
        async with door.ask(path, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (status, kind)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Traceback" not in await answer.text()
        async with door.session.head(f"{door.url}{path}", headers=headers) as answer:
            assert (answer.status, answer.content_type) == (status, kind)


async def test_while_all_members_are_down_a_launch_waits_and_says_so_at_once() -> None:
    headers = {"Accept": "text/event-stream"}
    async with Door(DEAD) as door, door.ask(SPEC, headers=headers, timeout=ClientTimeout(5)) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        told = (await answer.content.readuntil(b"\n\n")).split(b"data: ")[1]
        first = json.loads(told)
        assert (first["phase"], first["position"], first["of"]) == ("waiting", 1, 1)
        assert first["message"] == "No member is in service. You are 1st in line.\n"
        assert door.door.room.waiting == 1


async def test_the_launch_page_of_a_link_leads_to_a_stream(members: Pair) -> None:
    async with Door(*(member.configured() for member in members)) as door:
        page = await door.text(SPEC.replace("/build/", "/v2/"))
        assert SPEC in page
        assert (await door.launch(SPEC)).last["phase"] == "ready"
