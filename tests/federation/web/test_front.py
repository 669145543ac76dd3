"""The quick way of redirect mode: who takes it, and that nobody can tell it from the application's own."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from door_stage import SPEC, WELL, Door, StockMember, until

from federation.app import make_app
from federation.core.launchkey import parse_launch
from federation.core.model import Member
from federation.core.rules import LaunchRules, Mode, Settings
from federation.web.front import quick_way

Pair = tuple[StockMember, StockMember]
REDIRECT = LaunchRules(mode=Mode.REDIRECT)
LAST = b"GET /badge.svg HTTP/1.1\r\nHost: front.example\r\nConnection: close\r\n\r\n"


def request(
    target: str = SPEC, *headers: str, method: str = "GET", version: str = "1.1", body: str = ""
) -> bytes:
    lines = [f"{method} {target} HTTP/{version}", *(headers or ("Host: front.example",)), "", body]
    return "\r\n".join(lines).encode("latin-1")


QUICK = {
    "plain": request(),
    "query": request(f"{SPEC}?build_token=a.b&member=beta&q=%2F"),
    "empty query": request(f"{SPEC}?"),
    "fragment": request(f"{SPEC}?a=b#c?d"),
    "percent-encoded": request("/build/git/https%3A%2F%2Fexample.org%2Fa.git/x%20y/"),
    "port": request(SPEC, "Host: front.example:8080"),
    "proxied": request(
        SPEC, "Host: 10.0.0.1", "X-Forwarded-Host: front.example", "X-Forwarded-For: 10.1.1.1"
    ),
    "body": request(SPEC, "Host: front.example", "Content-Length: 3", body="abc"),
}
ORDINARY = {
    "HEAD": request(method="HEAD"),
    "OPTIONS": request(method="OPTIONS"),
    "POST": request(SPEC, "Host: front.example", "Content-Length: 0", method="POST"),
    "HTTP/1.0": request(version="1.0"),
    "HTTP/1.0, kept open": request(SPEC, "Host: front.example", "Connection: keep-alive", version="1.0"),
    "to be closed": request(SPEC, "Host: front.example", "Connection: close"),
    "no host": request(SPEC, "Accept: */*", version="1.0"),
    "a host that is none": request(SPEC, "Host: a/b"),
    "a forwarded host that is none": request(SPEC, "Host: front.example", "X-Forwarded-Host: a, b/c"),
    "a second forwarded host": request(
        SPEC, "Host: front.example", "X-Forwarded-Host: a", "X-Forwarded-Host: b/c"
    ),
    "expectation": request(SPEC, "Host: front.example", "Expect: 100-continue"),
    "absolute": request(f"http://front.example{SPEC}"),
    "bad spec": request("/build/gh/a/../b/c"),
    "no provider": request("/build/nope/a/b"),
    "another page": request("/badge.svg"),
}


def ended(sent: bytes) -> bytes:
    """The request, and another one that ends the connection if this one leaves it open."""
    closing = b"Connection: close" in sent or (b"HTTP/1.0" in sent and b"keep-alive" not in sent)
    return sent if closing else sent + LAST


async def exchange(port: int, sent: bytes) -> bytes:
    """All that comes back until the end; the date and the port are made alike."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(10):
        got = await reader.read(-1)
    writer.close()
    return re.sub(rb"Date: [^\r]+ GMT", b"Date: now", got).replace(b":%d/" % port, b"/")


def port_of(runner: web.BaseRunner) -> int:
    return int(runner.addresses[0][1])


@asynccontextmanager
async def ordinary_door(*members: Member, **settings: object) -> AsyncIterator[int]:
    """The application alone, without anything in front of it."""
    app = make_app(Settings(members, launch=REDIRECT, **settings))  # type: ignore[arg-type]
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield port_of(runner)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)], ids=["unproxied", "proxied"])
async def test_nobody_can_tell_the_quick_way_from_the_ordinary_one(
    trusted: tuple[str, ...], members: Pair
) -> None:
    configured = [member.configured() for member in members]
    async with (
        Door(*configured, launch=REDIRECT, trusted_proxies=trusted) as door,
        ordinary_door(*configured, trusted_proxies=trusted) as ordinary,
    ):
        quick = port_of(door.runner)
        await until_alike(quick, ordinary)
        for name, sent in (QUICK | ORDINARY).items():
            expected = await exchange(ordinary, ended(sent))
            assert await exchange(quick, ended(sent)) == expected, name
            if name in QUICK:
                assert expected.startswith(b"HTTP/1.1 307 Temporary Redirect\r\n"), name


async def until_alike(one: int, other: int) -> None:
    """Waits until both front doors have seen the members."""
    sent = request("/active_hosts", "Host: front.example", "Connection: close")
    async with asyncio.timeout(10):
        while await exchange(one, sent) != await exchange(other, sent):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("mode", Mode)
async def test_only_what_is_quickly_answered_does_not_reach_the_application(
    mode: Mode, members: Pair
) -> None:
    passed: list[str] = []

    async def application(request: web.BaseRequest) -> web.StreamResponse:
        passed.append(request.raw_path)
        return web.Response(status=204)

    async with Door(members[0].configured(), launch=LaunchRules(mode=mode)) as door:
        server = web.Server(quick_way(door.runner.app, application), access_log=None)
        runner = web.ServerRunner(server)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        for name, sent in (QUICK | ORDINARY).items():
            passed.clear()
            await exchange(port_of(runner), ended(sent))
            reached = len(passed) - (passed[-1:] == ["/badge.svg"] and name != "another page")
            assert bool(reached) == (mode is Mode.RELAY or name in ORDINARY), name
        await runner.cleanup()


async def test_answers_come_in_the_order_of_the_requests(members: Pair) -> None:
    async with Door(members[0].configured(), launch=REDIRECT) as door:
        targets = [f"/build/gh/a/b/{number}" for number in range(100)]
        sent = b"".join(request(target, method="HEAD" if "7" in target else "GET") for target in targets)
        got = await exchange(port_of(door.runner), sent + LAST)
    assert [found.decode() for found in re.findall(rb"Location: http://127.0.0.1:\d+(\S+)", got)] == targets
    assert got.count(b"HTTP/1.1 307") == 100 and got.count(b"HTTP/1.1 200") == 1


async def test_a_new_configuration_and_a_full_member_count_at_once(members: Pair) -> None:
    alpha = members[0]
    async with Door(alpha.configured(), launch=REDIRECT) as door:
        port = port_of(door.runner)
        assert (await exchange(port, request() + LAST)).startswith(b"HTTP/1.1 307")
        door.door.running.settings = replace(door.settings, launch=LaunchRules(mode=Mode.RELAY))
        assert b"Missing Accept header" in await exchange(port, request() + LAST)
        door.door.running.settings = door.settings
        assert (await exchange(port, request() + LAST)).startswith(b"HTTP/1.1 307")
        quota = {"service": "Pod quota", "ok": False, "total_pods": 5, "quota": 5}
        alpha.told = {"ok": False, "checks": [*WELL["checks"], quota]}  # type: ignore[misc]
        await until(lambda: door.door.pool.views()[0].refusal)
        assert door.door.dispatcher.decide(parse_launch(SPEC)).last_resort
        assert (await exchange(port, request() + LAST)).startswith(b"HTTP/1.1 307")
        await alpha.die()
        await until(lambda: not door.door.dispatcher.decide(parse_launch(SPEC)).candidates)
        got = await exchange(port, request() + LAST)
        assert got.startswith(b"HTTP/1.1 200 OK") and b"No member can take a launch now" in got


async def test_one_who_asks_on_and_reads_nothing_gets_no_further(members: Pair) -> None:
    count = 2000
    async with Door(members[0].configured(), launch=REDIRECT) as door:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port_of(door.runner)))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
        long = request(f"{SPEC}?q={'x' * 4000}")
        writer.write(long * count + LAST)
        answered = -1
        while answered != door.runner.server.requests_count:  # type: ignore[union-attr]
            answered = door.runner.server.requests_count  # type: ignore[union-attr]
            await asyncio.sleep(0.3)
        assert answered < count
        (connection,) = door.runner.server.connections  # type: ignore[union-attr]
        assert connection.transport is not None and connection.transport.get_write_buffer_size() < 200_000
        async with asyncio.timeout(20):
            assert (await reader.read(-1)).count(b"HTTP/1.1 307") == count
        writer.close()


async def test_a_connection_that_is_kept_open_does_not_hold_up_the_end(members: Pair) -> None:
    async with Door(members[0].configured(), launch=REDIRECT) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(door.runner))
        writer.write(request())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 307")
        async with asyncio.timeout(2):
            await door.runner.cleanup()
            assert await reader.read(-1) == b""
        writer.close()
