"""Who asks: tokens and sessions, as long as the configuration knows them and no longer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from door_stage import Door, StockMember
from steering_stage import ANA, AUDIT, BEN, MEMBERS, OPERATORS, VERA, send

from federation.core.operatortoken import digest
from federation.core.rules import Operator, Role
from federation.web import identity
from federation.web.identity import COOKIE, IDLE, SESSIONS, Sessions, holder

Pair = tuple[StockMember, StockMember]


def test_the_holder_of_a_token_is_found_by_any_of_its_digests() -> None:
    both = (Operator("ana", Role.OPERATOR, (digest("old"), digest("new"))), OPERATORS[1])
    for token, name in (("old", "ana"), ("new", "ana"), (BEN, "ben")):
        found = holder(both, digest(token))
        assert found is not None and found.name == name
    assert holder(both, digest("neither")) is None
    assert holder(both, "") is None
    assert holder((Operator("odd", Role.OPERATOR, ("",)),), "") is None
    assert holder((), digest(ANA)) is None


def test_every_digest_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: Any, other: Any) -> bool:
        compared.append(one)
        return bool(one == other)

    monkeypatch.setattr(identity.hmac, "compare_digest", compare)
    assert holder(OPERATORS, digest(ANA)) == OPERATORS[0]  # the first: the others are compared nevertheless
    assert len(compared) == len(OPERATORS)


def test_a_session_ends_without_use_and_when_told() -> None:
    sessions = Sessions()
    key = sessions.begin(ANA, 0.0)
    assert sessions.token(key, IDLE - 1) == digest(ANA)
    assert sessions.token(key, 2 * IDLE - 2) == digest(ANA)  # use prolongs it
    assert sessions.token(key, 4 * IDLE) == ""
    other = sessions.begin(BEN, 0.0)
    assert key != other and len(other) >= 43  # 256 bits
    sessions.end(other)
    sessions.end("none")
    assert sessions.token(other, 1.0) == sessions.token("", 1.0) == ""


def test_sessions_are_bounded_and_the_one_least_used_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MOST_SESSIONS", 3)
    sessions = Sessions()
    first, second, third = (sessions.begin(ANA, float(at)) for at in range(3))
    assert sessions.token(first, 3.0)
    fourth = sessions.begin(ANA, 4.0)
    assert [bool(sessions.token(key, 5.0)) for key in (first, second, third, fourth)] == [
        True,
        False,
        True,
        True,
    ]


def test_neither_token_nor_key_is_kept() -> None:
    sessions = Sessions()
    key = sessions.begin(ANA, 0.0)
    kept = repr([(name, one) for name, one in sessions._sessions.items()])
    assert ANA not in kept and key not in kept


async def test_tokens_rotate_without_a_restart_and_end_their_sessions(members: Pair, tmp_path: Path) -> None:
    def write(**operators: Any) -> Path:
        told = {"members": {members[0].name: {"url": members[0].configured().url}}, "operators": operators}
        (tmp_path / "federation.yaml").write_text(json.dumps(told))
        return tmp_path / "federation.yaml"

    def tokens(*all: str) -> dict[str, Any]:
        return {"tokens": [f"sha256:{digest(token)}" for token in all]}

    async with Door(members[0].configured()) as door:

        async def status(token: str = "", **cookie: str) -> int:
            return (await send(door, "GET", AUDIT, token=token, **cookie)).status

        door.door.reload(write(ana=tokens("old")))
        key = door.runner.app[SESSIONS].begin("old", door.door.clock.now())
        session = {"Cookie": f"{COOKIE}={key}"}
        assert (await status("old"), await status("new"), await status(**session)) == (200, 401, 200)
        door.door.reload(write(ana=tokens("old", "new")))
        assert (await status("old"), await status("new"), await status(**session)) == (200, 200, 200)
        door.door.reload(write(ana=tokens("new")))
        assert (await status("old"), await status("new"), await status(**session)) == (401, 200, 401)
        door.door.reload(write(ana=tokens("new") | {"role": "viewer"}))
        assert (
            await send(door, "PATCH", f"{MEMBERS}/alpha", token="new", body={}, If_Match="*")
        ).status == 403


async def test_a_session_changes_nothing_for_another_sites_page(members: Pair) -> None:
    async with Door(members[0].configured(), operators=OPERATORS) as door:
        key = door.runner.app[SESSIONS].begin(ANA, door.door.clock.now())
        here = str(door.url.origin())
        cases = {here: 200, "https://evil.example": 401, "null": 401, f"{here}.evil.example": 401, "": 401}
        for origin, status in cases.items():
            headers = {"Cookie": f"{COOKIE}={key}", "If_Match": "*"} | ({"Origin": origin} if origin else {})
            told = await send(door, "PATCH", f"{MEMBERS}/alpha", body={"weight": 2}, **headers)
            assert told.status == status, origin
        wrong = {"Cookie": f"{COOKIE}={key}", "Authorization": "Bearer wrong"}
        assert (await send(door, "GET", AUDIT, **wrong)).status == 401  # a token has the word
        proxys = {"Cookie": f"{COOKIE}={key}", "Authorization": "Basic eDp5"}
        assert (await send(door, "GET", AUDIT, **proxys)).status == 200


async def asked_with(door: Door, authorization: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request with exactly these bytes as its header."""
    reader, writer = await asyncio.open_connection(door.url.host, door.url.port)
    writer.write(
        b"GET %s HTTP/1.1\r\nHost: door\r\nAuthorization: %s\r\n\r\n" % (AUDIT.encode(), authorization)
    )
    return reader, writer


async def test_odd_tokens_are_nobodys(members: Pair) -> None:
    async with Door(members[0].configured(), operators=OPERATORS) as door:
        for told in (b"Bearer", b"Bearer ", b"Bearer \xff\xfe", b"Basic abc", b"Bearer " + b"x" * 8000):
            reader, writer = await asked_with(door, told)
            assert (await reader.readline()).split()[1] == b"401", told
            writer.close()
        assert (await send(door, "GET", AUDIT, Authorization=f"bEaReR  {VERA} ")).status == 200
