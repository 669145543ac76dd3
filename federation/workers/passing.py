"""Passes a request on to another process of the same front door, and its answer back, as both come. Knows no launch.

Each process listens on a Unix socket of its own in a folder that is nobody else's. What comes over it is believed to
tell whom the request is from.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from federation.core.eventid import parse_event_id
from federation.web.launch import STALLED, STREAMS

VISITOR = "X-Front-Door-Visitor"
MARK = 6  # characters at the beginning of a launch's id that tell which worker carries it
CAPTAIN = "captain"
CONNECT = 5.0  # seconds until the other process accepts
_OF_THE_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def door_of(folder: Path, name: str) -> Path:
    """The socket of the captain or of the worker with this mark."""
    return folder / f"{name}.sock"


def told_once(path: str) -> bool:
    """Whether this is told by the captain for the whole front door."""
    beginnings = ("/federation/", "/status/", "/archive", "/operator/")
    return path in ("/metrics", "/status", "/status.json", "/operator") or path.startswith(beginnings)


@web.middleware
async def believed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Takes a request that another process passed on for the visitor's own."""
    told = request.headers.get(VISITOR)
    if told is not None and _is_private(request):
        request = request.clone(**json.loads(told))
    return await handler(request)


class _Stalled(Exception):
    """The visitor reads nothing."""


class Passing:
    """A worker's way to the others. `mark` is its own."""

    def __init__(self, folder: Path, mark: str) -> None:
        self._folder = folder
        self._mark = mark

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is_private(request):
            return await handler(request)
        if told_once(request.path):
            answer = await pass_on(request, door_of(self._folder, CAPTAIN))
            if answer is None:
                raise web.HTTPServiceUnavailable(reason="The front door cannot tell that just now")
            return answer
        other = self._carrier(request)
        if other is not None and (answer := await pass_on(request, other)) is not None:
            return answer
        return await handler(request)

    def _carrier(self, request: web.Request) -> Path | None:
        """The door of the worker that carries the launch which this request goes on with, if that is another one."""
        if not request.path.startswith("/build/"):
            return None
        id = parse_event_id(request.headers.get("Last-Event-ID", ""))
        if id is None or id.launch[:MARK] == self._mark:
            return None
        door = door_of(self._folder, id.launch[:MARK])
        return door if door.exists() else None


async def pass_on(request: web.Request, door: Path) -> web.StreamResponse | None:
    """The answer of the process behind this door, None when nobody is there. A visitor who leaves ends both; an answer
    that breaks off there breaks off here."""
    kept = {name: value for name, value in request.headers.items() if _travels(name)}
    who = {"remote": request.remote, "scheme": request.scheme, "host": request.host}
    headers = {**kept, "Host": request.host, VISITOR: json.dumps(who)}
    connector = aiohttp.UnixConnector(str(door), force_close=True)
    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=limits,
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept"),
    ) as session:
        try:
            told = await session.request(
                request.method,
                _address(request.rel_url),
                headers=headers,
                data=request.content if request.body_exists else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientConnectionError, TimeoutError):
            return None
        async with told:
            return await _back(request, told)


def _address(asked: URL) -> URL:
    """What the visitor asked for, to the byte. The host is only said, nobody looks it up."""
    path, query = asked.raw_path, asked.raw_query_string
    return URL.build(scheme="http", host="door", path=path, query_string=query, encoded=True)


async def _back(request: web.Request, told: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=told.status, reason=told.reason)
    for name, value in told.headers.items():
        if _travels(name):
            response.headers.add(name, value)
    try:
        await response.prepare(request)
        async with request.app[STREAMS].scope():
            async for data in told.content.iter_any():
                await _write(response, data)
        await response.write_eof()
    except ConnectionResetError:
        pass  # the visitor left while we wrote
    except (aiohttp.ClientError, _Stalled):
        if request.transport is not None:
            request.transport.abort()  # an end would look like a whole answer
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    try:
        async with asyncio.timeout(STALLED):
            await response.write(data)
    except TimeoutError as error:
        raise _Stalled from error


def _travels(name: str) -> bool:
    return name.lower() not in _OF_THE_HOP and name.lower() not in ("host", VISITOR.lower())


def _is_private(request: web.Request) -> bool:
    """Whether the request came over a Unix socket, whose name is a path and no address."""
    transport = request.transport
    return transport is not None and isinstance(transport.get_extra_info("sockname"), str | bytes)
