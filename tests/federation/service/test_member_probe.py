"""The HTTP prober against members that answer in every way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from contract_files import body
from door_stage import WELL, StockMember

from federation.adapters.clock import SystemClock
from federation.adapters.probe import HttpProber
from federation.adapters.transport import open_session
from federation.core.model import Member
from federation.core.rules import HealthRules
from federation.service.ports import ProbeResult


async def look(member: Member, timeout: float = 1.0) -> ProbeResult:
    async with open_session() as session:
        prober = HttpProber(session, lambda: HealthRules(timeout=timeout), SystemClock())
        return await prober.probe(member)


@asynccontextmanager
async def answering(raw: bytes, *, hold: bool = False) -> AsyncIterator[Member]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            await writer.drain()
            if hold:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Member("m", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", 1.0)


async def test_a_well_member_tells_health_and_versions(members: tuple[StockMember, StockMember]) -> None:
    members[0].told = body("health").encode()
    result = await look(members[0].configured())
    assert result.ok and result.answered and result.reason == ""
    assert len(result.checks) == 2 and result.versions == {"binderhub": "1.0", "builder": "r2d"}


@pytest.mark.parametrize(
    ("raw", "hold", "answered", "words"),
    [
        (b"", True, False, "no answer within 1 s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", True, False, "no answer within 1 s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", False, False, "broke off its answer"),
        (b"", False, False, "closed the connection"),
        (b"nonsense\r\n\r\n", False, False, "answered with what is not HTTP"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            False,
            True,
            "answered 302",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000, False, True, "more than 262144 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", False, True, "without a list of checks"),
    ],
)
async def test_a_bad_answer_is_a_reason_and_never_an_error(
    raw: bytes, hold: bool, answered: bool, words: str
) -> None:
    async with answering(raw, hold=hold) as member:
        result = await look(member)
    assert not result.ok and result.answered is answered and words in result.reason
    assert result.versions in (None, {})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "refused the connection"),
        ("http://does-not-exist.invalid", "host name that cannot be resolved"),
        ("http://xn--.invalid..", "could not|cannot|not HTTP"),
    ],
)
async def test_an_address_that_cannot_be_reached_is_a_reason(url: str, words: str) -> None:
    import re

    result = await look(Member("m", url, 1.0), timeout=5)
    assert not result.ok and not result.answered and re.search(words, result.reason)


async def test_versions_that_hang_do_not_make_a_member_ill() -> None:
    well = json.dumps(WELL).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /health"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(well) + well)
            await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        result = await look(Member("m", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", 1.0), 1.5)
    assert result.ok and result.versions is None


def test_a_whole_url_stands_for_itself() -> None:
    member = Member("m", "https://m.org/base", 1.0, health_path="https://other.org/up")
    assert member.address(member.health_path) == "https://other.org/up"
    assert member.address(member.versions_path) == "https://m.org/base/versions"
