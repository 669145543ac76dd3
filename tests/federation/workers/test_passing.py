"""A request that is passed on arrives as the visitor sent it, and its answer comes back as it was given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from door_stage import until
from yarl import URL

from federation.web.launch import STREAMS, OpenStreams
from federation.workers.passing import CAPTAIN, VISITOR, Passing, believed, door_of

OWN, OTHER = "aaaaaa", "bbbbbb"


class Two:
    """A worker on a port and another process behind its private socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left = False
        self.url = ""

    async def told(self, request: web.Request) -> web.StreamResponse:
        """The other process: what arrived there."""
        if request.path == "/federation/stream":
            return await self._stream(request)
        if request.path == "/federation/break":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"half")
            assert request.transport is not None
            request.transport.abort()
            return response
        told = {
            "method": request.method,
            "asked": request.rel_url.raw_path_qs,
            "who": [request.remote, request.scheme, request.host],
            "accept": request.headers.get("Accept-Language"),
            "body": (await request.read()).decode(),
        }
        return web.Response(text=json.dumps(told), status=418, headers={"X-Kept": "yes"})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await response.write(b"first\n")
            await asyncio.Event().wait()
        finally:
            self.left = True
        return response


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    two = Two(tmp_path)
    there = web.Application(middlewares=[believed])
    there.router.add_route("*", "/{path:.*}", two.told)
    runner = web.AppRunner(there, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    for name in (CAPTAIN, OTHER):
        await web.UnixSite(runner, str(door_of(tmp_path, name))).start()

    async def own(request: web.Request) -> web.Response:
        return web.Response(text=f"own {request.remote}")

    here = web.Application(middlewares=[believed, Passing(tmp_path, OWN).middleware])
    here[STREAMS] = OpenStreams()
    here.router.add_route("*", "/{path:.*}", own)
    front = web.AppRunner(here, handler_cancellation=True, shutdown_timeout=1)
    await front.setup()
    await web.TCPSite(front, "127.0.0.1", 0).start()
    two.url = f"http://127.0.0.1:{front.addresses[0][1]}"
    yield two
    await front.cleanup()
    await runner.cleanup()


def asked(two: Two, path: str) -> URL:
    return URL(two.url + path, encoded=True)


def id_of(mark: str) -> dict[str, str]:
    return {"Last-Event-ID": f"{mark}0123456789abcdefghij.7"}


async def test_the_captain_gets_the_request_as_the_visitor_sent_it(two: Two) -> None:
    path = "/federation/v1/explain/a%2Fb/../%20?spec=gh%2Fa&x=%C3%A4&x=1+2"
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            asked(two, path),
            data=b"body",
            headers={"Host": "binder.example", "Accept-Language": "de", VISITOR: '{"remote": "6.6.6.6"}'},
        ) as answer,
    ):
        told = json.loads(await answer.text())
    assert answer.status == 418 and answer.headers["X-Kept"] == "yes"
    assert told == {
        "method": "POST",
        "asked": path,
        "who": ["127.0.0.1", "http", "binder.example"],
        "accept": "de",
        "body": "body",
    }


async def test_launches_go_to_the_worker_that_carries_them(two: Two) -> None:
    async with aiohttp.ClientSession() as session:
        for headers, status in ((id_of(OTHER), 418), (id_of(OWN), 200), (id_of("gone00"), 200), ({}, 200)):
            async with session.get(asked(two, "/build/gh/a/b/HEAD"), headers=headers) as answer:
                assert answer.status == status, headers
        async with session.get(asked(two, "/v2/gh/a/b/HEAD"), headers=id_of(OTHER)) as answer:
            assert answer.status == 200


async def test_a_launch_whose_worker_was_killed_begins_anew(two: Two, tmp_path: Path) -> None:
    left_over = door_of(tmp_path, "cccccc")
    server = await asyncio.start_unix_server(lambda reader, writer: None, str(left_over))
    server.close()
    left_over.touch()
    async with (
        aiohttp.ClientSession() as session,
        session.get(asked(two, "/build/gh/a/b/HEAD"), headers=id_of("cccccc")) as answer,
    ):
        assert answer.status == 200


async def test_nobody_from_outside_is_believed(two: Two) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(asked(two, "/"), headers={VISITOR: '{"remote": "6.6.6.6"}'}) as answer,
    ):
        assert await answer.text() == "own 127.0.0.1"


async def test_a_visitor_who_leaves_leaves_there_too(two: Two) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(asked(two, "/federation/stream")) as answer:
            assert await answer.content.readline() == b"first\n"
            assert not two.left
            answer.close()
        await until(lambda: two.left)


async def test_an_answer_that_breaks_off_there_is_not_whole_here(two: Two) -> None:
    async with aiohttp.ClientSession() as session, session.get(asked(two, "/federation/break")) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_without_a_captain_it_says_so(two: Two, tmp_path: Path) -> None:
    door_of(tmp_path, CAPTAIN).unlink()
    async with aiohttp.ClientSession() as session, session.get(asked(two, "/metrics")) as answer:
        assert answer.status == 503
