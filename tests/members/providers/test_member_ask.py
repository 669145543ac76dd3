"""Questions to services that are slow, endless, or lead elsewhere."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from pytest import fixture, mark, raises
from sites import Site, site
from yarl import URL

from members.core.model import ResolveError
from members.providers.ask import Service, anywhere, ask, locate, next_hop, same_host
from members.providers.outward import is_public


@fixture
async def server() -> AsyncIterator[Site]:
    async with site() as made:
        made.answers["/there"] = b"here"
        yield made


@fixture
async def service() -> AsyncIterator[Service]:
    async with aiohttp.ClientSession() as http:
        yield Service("It", http, 5.0)


async def test_redirects_are_followed_up_to_a_limit(service: Service, server: Site) -> None:
    server.moved("/0", "/there", 307)
    for number in range(1, 9):
        server.moved(f"/{number}", f"{number - 1}", 301)
    answer = await ask(service, URL(f"{server.url}/7"), admit=anywhere)
    assert (answer.status, answer.body, answer.url.path) == (200, b"here", "/there")
    with raises(ResolveError, match="It redirects more than 8 times"):
        await ask(service, URL(f"{server.url}/8"), admit=anywhere)
    server.moved("/loop", "/loop")
    with raises(ResolveError, match="It redirects more than 8 times"):
        await locate(service, URL(f"{server.url}/loop"), admit=anywhere)


async def test_another_host_is_asked_only_if_admitted_and_gets_no_token(
    service: Service, server: Site
) -> None:
    async with site() as other:
        other.answers["/there"] = b"there"
        server.moved("/x", f"{other.url}/there")
        url = URL(f"{server.url}/x")
        with raises(ResolveError, match=f"It leads to {other.host}, where this member does not look"):
            await ask(service, url, admit=same_host(url), headers={"Authorization": "token sesame"})
        assert other.asked == []
        await ask(service, url, admit=anywhere, headers={"Authorization": "token sesame"})
        assert "Authorization" in server.asked[0].headers
        assert "Authorization" not in other.asked[0].headers
        assert await next_hop(service, url) == URL(f"{other.url}/there")
        assert len(other.asked) == 1


def test_the_same_host_may_become_secure() -> None:
    admit = same_host(URL("http://host.example/x"))
    assert admit(URL("https://host.example/y"))
    assert not admit(URL("https://host.example:444/y"))
    assert not same_host(URL("https://host.example/x"))(URL("http://host.example/x"))


@mark.parametrize("how", ["silent", "endless", "huge"])
async def test_an_answer_has_limits(service: Service, how: str) -> None:
    ended = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        try:
            if how == "silent":
                await asyncio.sleep(60)
            response.enable_compression()  # little on the wire, much in memory
            await response.prepare(request)
            while True:
                await response.write(b"0" * 10**6 if how == "huge" else b"0")
                await asyncio.sleep(0 if how == "huge" else 0.05)
        finally:
            ended.set()

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app, handler_cancellation=True) as slow:
        impatient = Service("It", service.http, 30.0 if how == "huge" else 0.3)
        started = time.monotonic()
        match = "larger than 16777216 bytes" if how == "huge" else r"did not answer within 0\.3 seconds"
        with raises(ResolveError, match=match):
            await ask(impatient, slow.make_url("/"), admit=anywhere)
        assert time.monotonic() - started < 25
        await asyncio.wait_for(ended.wait(), 10)


async def test_a_landing_page_is_not_read(service: Service) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"0" * 1000)
            await asyncio.sleep(0.01)

    app = web.Application()
    app.router.add_get("/", endless)
    async with TestServer(app, handler_cancellation=True) as slow:
        found = await locate(service, slow.make_url("/"), admit=anywhere)
        assert (found.status, found.body) == (200, b"")


async def test_who_is_not_there_is_told_without_the_url(service: Service) -> None:
    with raises(ResolveError, match=r"^It could not be reached \(ClientConnectorError\)$"):
        await ask(service, URL("http://127.0.0.1:1/?private_token=sesame"), admit=anywhere)


@mark.parametrize(
    "address", ["1.1.1.1", "140.82.121.4", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::a9fe:a9fe",
        "::127.0.0.1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)
