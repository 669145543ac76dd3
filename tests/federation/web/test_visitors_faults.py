"""What a visitor may send wrongly: always a clear answer, never a trace."""

from __future__ import annotations

import asyncio

import pytest
from door_stage import FAST, SPEC, Door, StockMember

from federation.core.rules import LaunchRules, Mode

Pair = tuple[StockMember, StockMember]
REDIRECT = LaunchRules(mode=Mode.REDIRECT)


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "text/event-stream;q=0", "application/json"])
async def test_an_accept_header_without_event_stream_gets_binderhubs_event(
    accept: str, members: Pair
) -> None:
    async with Door(members[0].configured()) as door:
        launched = await door.launch(accept=accept)
    assert launched.status == 200 and launched.headers["Content-Type"] == "text/event-stream"
    assert launched.events == [
        {"phase": "failed", "status_code": 400, "message": "Missing Accept header: text/event-stream\n"}
    ]
    assert not members[0].requests


@pytest.mark.parametrize(
    "accept", ["text/event-stream", "text/event-stream, */*", "text/html;q=0.1,Text/Event-Stream;q=0.9"]
)
async def test_an_accept_list_with_event_stream_is_accepted(accept: str, members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        assert (await door.launch(accept=accept)).last["phase"] == "ready"


@pytest.mark.parametrize("rules", [FAST, REDIRECT], ids=["relay", "redirect"])
@pytest.mark.parametrize(
    "path",
    [
        "/build/",
        "/build/nope/a/b",
        "/build/gh/a/b",
        "/build/gh/a/../b/c",
        "/build/gh/a/%2e%2e/b/c",
        "/build/gh/a/b/%00",
        "/build/gh/a/b/%0a",
        "/build/gh/a/b/" + "x" * 3000,
        "/build/git/javascript%3Aalert/HEAD",
    ],
)
async def test_a_bad_spec_is_a_failed_event(path: str, rules: LaunchRules, members: Pair) -> None:
    async with Door(members[0].configured(), launch=rules) as door:
        launched = await door.launch(path)
    assert launched.status == 200 and launched.phases == ["failed"]
    assert launched.last["message"].endswith("\n") and "Traceback" not in launched.last["message"]
    assert not members[0].requests


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /build/gh/a/b/c HTTP/1.1\r\nHost: x\r\nX-Huge: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /build/gh/a/b/" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /build/gh/a/b/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /build/gh/a/b/c HTTP/1.1\r\nHost: x\r\nA\x00b: c\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
async def test_what_is_no_http_is_refused_without_a_trace(request_bytes: bytes, members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.url.port)
        writer.write(request_bytes)
        answer = await asyncio.wait_for(reader.read(4096), 5)
        writer.close()
        assert b" 400 " in answer.split(b"\r\n")[0]
        assert b"Traceback" not in answer and b"File " not in answer
        assert (await door.launch()).last["phase"] == "ready"


async def test_an_absolute_request_target_chooses_no_address(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.url.port)
        writer.write(
            f"GET http://127.0.0.1:1{SPEC} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        assert b'"ready"' in await asyncio.wait_for(reader.readuntil(b'"ready"'), 5)
        writer.close()
    assert members[0].requests[0].raw_path == SPEC


async def test_errors_are_json_or_a_line_of_text(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        async with door.session.post(door.url / "health", headers={"Accept": "application/json"}) as answer:
            assert answer.status == 405 and (await answer.json())["status"] == 405
            assert answer.headers["Allow"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Server"] == "binder-federation"
        async with door.session.delete(door.url / "build/gh/a/b/c") as answer:
            assert answer.status == 405 and (await answer.text()).startswith("405")


async def test_head_and_options_start_no_launch(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        async with door.session.head(f"{door.url}{SPEC}", headers={"Accept": "text/event-stream"}) as answer:
            assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"
        async with door.session.options(f"{door.url}{SPEC}") as answer:
            assert answer.status == 200 and await answer.read() == b""
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Access-Control-Allow-Headers"] == "cache-control, last-event-id"
    assert not members[0].requests


async def raw(door: Door, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.url.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


@pytest.mark.parametrize("host", [b"\xff", b"a b", b'x"><script>', b"[::1", b"a@b", b"x:1:2"])
@pytest.mark.parametrize("path", [b"/", b"/v2/gh/a/b/HEAD", SPEC.encode()])
async def test_a_host_that_is_none_is_refused(path: bytes, host: bytes, members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        head = b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nAccept: text/event-stream\r\n"
        answer = await raw(door, head + b"Connection: close\r\n\r\n")
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert not members[0].requests


async def test_a_request_without_host_is_served_at_the_address_it_reached(
    members: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "socket.getfqdn", lambda: pytest.fail("the name service was asked, all visitors wait")
    )
    async with Door(members[0].configured()) as door:
        answer = await raw(door, b"GET / HTTP/1.0\r\n\r\n")
        assert f'data-base="http://127.0.0.1:{door.url.port}"'.encode() in answer
        answer = await raw(door, f"GET {SPEC} HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n".encode())
        assert b'"ready"' in answer and b"chunked" not in answer.lower()
