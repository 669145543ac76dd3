"""`/build` over real connections."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from member_fakes import FakeBuilder, FakeHub, FakeStore, Listener, until
from pytest import MonkeyPatch, fixture, mark

from members.core.facts import Trouble
from members.core.model import LaunchRequest, Visit
from members.core.phases import Event
from members.service.builds import Builds
from members.service.health import Health, checks
from members.service.launches import Launches
from members.web import build
from members.web.accept import accepts_events
from members.web.build import encode
from members.web.gate import GATE, Gate
from members.web.keys import ABOUT, HEALTH, LAUNCHES, METRICS, TELL, About
from members.web.login import VISITORS, Visitors
from members.web.routes import add_routes

EVENTS = {"Accept": "text/event-stream"}
ID = "L" * 22
GRACE = 0.5


@dataclass
class Told:
    """Stands for the pipeline: tells `events`, then waits at `gate`; knows who asked and who left."""

    events: list[Event] = field(default_factory=lambda: [{"phase": "waiting", "message": "é\n"}])
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    requests: list[LaunchRequest] = field(default_factory=list)
    left: int = 0

    async def run(self, request: LaunchRequest) -> AsyncIterator[Event]:
        self.requests.append(request)
        try:
            for event in self.events:
                yield event
            if self.error is not None:
                raise self.error
            await self.gate.wait()
            yield {"phase": "failed", "message": "the end\n"}
        finally:
            self.left += 1


def make_app(
    launches: Told, told: Listener, gate: Gate | None = None, visitors: Visitors | None = None, **about: Any
) -> web.Application:
    store = FakeStore()
    builds = Builds(FakeBuilder(store), store, told, concurrent=1, timeout=9, log_limit=1000)
    known: dict[str, Any] = {
        "name": "member-a",
        "base_url": "/",
        "launch_host": None,
        "allow_origin": "*",
        "isolation": "none: <plain>",
        "versions": {"builder_info": {}, "binderhub": "1"},
        "providers": ({"displayName": "GitHub", "id": "gh"},),
    }
    app = web.Application()
    app[ABOUT] = About(**(known | about))
    app[GATE] = gate or Gate()
    if visitors is not None:
        app[VISITORS] = visitors
    app[LAUNCHES] = Launches(launches.run, told, new_id=lambda: ID, grace=GRACE, log_limit=10**6)
    app[HEALTH] = Health(checks(store, FakeHub(), builds, 9), told)
    app[METRICS] = lambda accept: (b"# metrics\n", "text/plain; version=0.0.4")
    app[TELL] = told
    app.on_cleanup.append(lambda app: app[LAUNCHES].close())
    add_routes(app)
    return app


Serve = Callable[..., Any]


@fixture
def launches() -> Told:
    return Told()


@fixture
def told() -> Listener:
    return Listener()


@fixture
async def serve(launches: Told, told: Listener) -> AsyncIterator[Serve]:
    servers: list[TestServer] = []

    async def start(**about: Any) -> TestServer:
        server = TestServer(make_app(launches, told, **about))
        await server.start_server()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.close()


@fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_stream_has_binderhubs_shape(
    serve: Serve, launches: Told, http: aiohttp.ClientSession
) -> None:
    launches.gate.set()
    server = await serve()
    async with http.get(server.make_url("/build/git/x/y"), headers=EVENTS) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Headers"] == "cache-control, last-event-id"
        body = await answer.read()
    assert body == (
        b"id: LLLLLLLLLLLLLLLLLLLLLL.1\n"
        b'data: {"phase": "waiting", "message": "\\u00e9\\n"}\n\n'
        b"id: LLLLLLLLLLLLLLLLLLLLLL.2\n"
        b'data: {"phase": "failed", "message": "the end\\n"}\n\n'
    )


@mark.parametrize(
    ("path", "provider", "spec"),
    [
        ("/build/git/https%3A%2F%2Fhost%2Frepo/main", "git", "https%3A%2F%2Fhost%2Frepo/main"),
        ("/build/gh/user/repo/feature/x/", "gh", "user/repo/feature/x"),
        ("/build/gh/user/repo/%2e%2e", "gh", "user/repo/%2e%2e"),
        ("/build/gh/../../etc", "gh", "../../etc"),
        ("/build/gh/a%00b/c/d", "gh", "a%00b/c/d"),
        ("/build/gh/us%C3%A9r/r/x%20y", "gh", "us%C3%A9r/r/x%20y"),
    ],
)
async def test_the_spec_is_taken_as_it_came(
    serve: Serve, launches: Told, path: str, provider: str, spec: str
) -> None:
    server = await serve()
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
    writer.write(head.encode())
    assert b"200 OK" in await reader.readline()
    await until(lambda: launches.requests)
    assert (launches.requests[0].provider, launches.requests[0].spec) == (provider, spec)
    writer.close()


async def test_who_asks_and_how_we_are_known(
    serve: Serve, launches: Told, http: aiohttp.ClientSession
) -> None:
    launches.gate.set()
    server = await serve(base_url="/b/", gate=Gate(api_only=True))
    url = f"http://{server.host}:{server.port}/b/build/gh/u/r/HEAD?build_only=True"
    forwarded = {
        "X-Forwarded-For": "10.0.0.1, 203.0.113.9",
        "X-Forwarded-Proto": "https",
        "Host": "bind.example",
    }
    await (await http.get(url, headers=EVENTS | forwarded)).read()
    assert launches.requests[0] == LaunchRequest(
        "gh",
        "u/r/HEAD",
        "203.0.113.9",
        "https://bind.example/b/",
        build_only=True,
        visit=Visit(origin="bind.example"),
    )
    await (await http.get(url, headers=EVENTS | {"X-Forwarded-For": "<x>", "Host": "e<vil"})).read()
    assert launches.requests[1].client_ip == "127.0.0.1"
    assert launches.requests[1].launch_host == "http://localhost/b/"


async def test_a_configured_launch_host_wins(
    serve: Serve, launches: Told, http: aiohttp.ClientSession
) -> None:
    launches.gate.set()
    server = await serve(launch_host="https://front.example/")
    await (await http.get(server.make_url("/build/gh/u/r/HEAD"), headers=EVENTS)).read()
    assert launches.requests[0].launch_host == "https://front.example/"


@mark.parametrize(
    ("accept", "good"),
    [
        ("text/event-stream", True),
        ("text/event-stream, */*", True),
        ("text/html, text/event-stream;q=0.9", True),
        ("text/html;text/event-stream", True),
        ("TEXT/EVENT-STREAM", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream; q=0.0", False),
        ("*/*", False),
        ("", False),
        ("text/event-streams", False),
    ],
)
def test_accept(accept: str, good: bool) -> None:
    assert accepts_events(accept) is good


async def test_a_wrong_accept_header_is_told_as_an_event(
    serve: Serve, launches: Told, http: aiohttp.ClientSession
) -> None:
    server = await serve()
    async with http.get(server.make_url("/build/gh/u/r/HEAD")) as answer:
        assert answer.status == 200
        told_event = json.loads((await answer.text()).removeprefix("data: "))
    assert told_event == {
        "phase": "failed",
        "status_code": 400,
        "message": "Missing Accept header: text/event-stream\n",
    }
    assert launches.requests == []


async def test_head_and_options_start_nothing(
    serve: Serve, launches: Told, http: aiohttp.ClientSession
) -> None:
    server = await serve()
    url = server.make_url("/build/gh/u/r/HEAD")
    async with http.head(url, headers=EVENTS) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
    async with http.options(url) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
        assert allowed == ["cache-control", "last-event-id", "authorization", "x-xsrftoken"]
    assert launches.requests == []


async def test_an_error_inside_is_told_plainly_and_logged(
    serve: Serve, launches: Told, told: Listener, http: aiohttp.ClientSession
) -> None:
    launches.error = RuntimeError("secret")
    server = await serve()
    async with http.get(server.make_url("/build/gh/u/r/HEAD"), headers=EVENTS) as answer:
        body = await answer.text()
    assert body.endswith(
        'data: {"phase": "failed", "status_code": 500, "message": "Internal Server Error\\n"}\n\n'
    )
    assert "secret" not in body
    assert [type(fact) for fact in told.facts] == [Trouble]


async def test_silence_is_filled_with_comments(
    serve: Serve, launches: Told, http: aiohttp.ClientSession, monkeypatch: MonkeyPatch
) -> None:
    assert build.KEEPALIVE_AFTER == 25
    monkeypatch.setattr(build, "KEEPALIVE_AFTER", 0.05)
    server = await serve()
    async with http.get(server.make_url("/build/gh/u/r/HEAD"), headers=EVENTS) as answer:
        for expected in (
            b"id: ",
            b'data: {"phase": "waiting"',
            b"\n",
            b":keepalive\n",
            b"\n",
            b":keepalive\n",
        ):
            assert (await answer.content.readline()).startswith(expected)
        launches.gate.set()
        assert b"the end" in await answer.read()


async def test_a_visitor_who_leaves_and_stays_away_ends_the_launch(serve: Serve, launches: Told) -> None:
    server = await serve()
    async with aiohttp.ClientSession() as session:
        answer = await session.get(server.make_url("/build/gh/u/r/HEAD"), headers=EVENTS)
        await answer.content.readline()
        assert launches.left == 0
    await until(lambda: launches.left == 1, limit=2)


async def test_streams_end_with_the_member(serve: Serve, launches: Told, http: aiohttp.ClientSession) -> None:
    server = await serve()
    async with http.get(server.make_url("/build/gh/u/r/HEAD"), headers=EVENTS) as answer:
        await answer.content.readline()
        server.app[LAUNCHES].stop()
        body = await asyncio.wait_for(answer.text(), 5)
    assert body.endswith('Please try again.\\n"}\n\n') and '"status_code": 503' in body
    await server.app[LAUNCHES].close()
    assert launches.left == 1


def test_an_event_is_one_line_of_ascii() -> None:
    wire = encode({"phase": "building", "message": "a\r\nb\u2028é\n"})
    assert wire.count(b"\n") == 2
    assert b"\r" not in wire
    assert json.loads(wire.removeprefix(b"data: ")) == {"phase": "building", "message": "a\r\nb\u2028é\n"}


async def test_a_visitor_who_reads_nothing_loses_the_connection(
    serve: Serve, launches: Told, monkeypatch: MonkeyPatch
) -> None:
    """Else it stays for as long as they like, with all that was written to it."""
    monkeypatch.setattr(build, "_WRITE_TIMEOUT", 0.3)
    launches.events = [{"phase": "building", "message": "x" * 100_000 + "\n"}] * 100
    server = await serve()
    reader, writer = await asyncio.open_connection(server.host, server.port, limit=1024)
    writer.write(b"GET /build/git/x/y HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
    assert server.runner.server is not None
    await until(lambda: server.runner.server.connections)
    await until(lambda: not server.runner.server.connections, 10)
    with suppress(ConnectionError):
        assert b"the end" not in await asyncio.wait_for(reader.read(), 10)
    writer.close()
