"""`/build/…`: relays a launch as an event stream, or answers with a 307. Decides nothing about members.

As on a BinderHub, every error of this address is a 200 with a `failed` event, since its clients read events
and no statuses. Events pass as the bytes that the member sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from aiohttp import web

from federation.core.errors import LaunchError
from federation.core.eventlog import Stretch
from federation.core.launchkey import parse_launch
from federation.core.model import Launch
from federation.core.rules import Mode
from federation.service.launcher import Launcher
from federation.service.ports import Visitor
from federation.service.relays import Listener, Relays
from federation.web import tokens
from federation.web.cors import CORS, open_to_all
from federation.web.house import public_base
from federation.web.keys import RUNNING

EVENT_STREAM = "text/event-stream"
KEEPALIVE = b":keepalive\n\n"
KEEPALIVE_EVERY = 25.0  # seconds of silence, as BinderHub
STALLED = 60.0  # seconds in which a visitor must take what was written
STREAM_HEADERS: Mapping[str, str] = {
    **CORS,
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}

LAUNCHER = web.AppKey("launcher", Launcher)
RELAYS = web.AppKey("relays", Relays)


class OpenStreams:
    """The event streams that are open now, so that a front door that stops can end them first."""

    def __init__(self) -> None:
        self._scopes: set[asyncio.Timeout] = set()
        self._ending = False

    @asynccontextmanager
    async def scope(self) -> AsyncIterator[None]:
        """Leaves the block, wherever it waits, when the streams are ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self._ending else None) as scope:
                self._scopes.add(scope)
                try:
                    yield
                finally:
                    self._scopes.discard(scope)

    def end(self) -> None:
        self._ending = True
        now = asyncio.get_running_loop().time()
        for scope in self._scopes:
            scope.reschedule(now)


STREAMS = web.AppKey("streams", OpenStreams)


async def build(request: web.Request) -> web.StreamResponse:
    """One launch, in the mode that the configuration says."""
    mode = request.app[RUNNING].settings.launch.mode
    try:
        if mode is Mode.RELAY and not accepts_events(request):
            raise LaunchError("Missing Accept header: text/event-stream", 400)
        launch = parse_launch(request.rel_url.raw_path, request.rel_url.raw_query_string)
        if mode is Mode.REDIRECT:
            launcher = request.app[LAUNCHER]
            # A HEAD, as link checkers send it, launches nothing and counts as nothing.
            member = launcher.would_take(launch) if request.method == "HEAD" else launcher.redirect(launch)
            return web.Response(status=307, headers={**CORS, "Location": member.url + target(launch)})
    except LaunchError as error:
        return web.Response(body=_failed(error), headers=STREAM_HEADERS)
    return await _relay(request, launch)


def target(launch: Launch) -> str:
    """Path and query as they travel on to a member."""
    return f"{launch.path}?{launch.query}" if launch.query else launch.path


def accepts_events(request: web.Request) -> bool:
    """Whether the Accept header lists event streams, among whatever else."""
    for header in request.headers.getall("Accept", ()):
        for media in header.split(","):
            name, *parameters = (part.strip().lower() for part in media.split(";"))
            if name == EVENT_STREAM and not {"q=0", "q=0.0"} & set(parameters):
                return True
    return False


async def _relay(request: web.Request, launch: Launch) -> web.StreamResponse:
    """A new launch, or what follows in one that the visitor has an id of."""
    if request.method == "HEAD":
        return web.Response(headers=STREAM_HEADERS)
    launch, who = tokens.recognise(request, launch, visitor(request))
    relays = request.app[RELAYS]
    known = relays.find(request.headers.get("Last-Event-ID", ""), launch)
    relay, after = known or (relays.begin(launch, who), 0)
    with relays.listening(relay, after) as listener:
        # A browser's EventSource that has all of it would ask for ever; this status tells it to stop. No cache may
        # keep it: it is of this client, and others ask at the same address.
        if listener.over:
            return web.Response(status=204, headers={**CORS, "Cache-Control": "no-store"})
        return await _told(request, listener)


async def _told(request: web.Request, listener: Listener) -> web.StreamResponse:
    response = web.StreamResponse(headers=STREAM_HEADERS)
    try:
        await response.prepare(request)
        async with request.app[STREAMS].scope():
            await _send_all(request, response, listener)
        await response.write_eof()
    except ConnectionResetError:
        pass  # the visitor left while we wrote
    return response


async def _send_all(request: web.Request, response: web.StreamResponse, listener: Listener) -> None:
    """Sends events as they come, and a comment after every while of silence, so that nothing on the way gives
    the stream up."""
    while not listener.over:
        stretch = listener.next()
        if stretch.events:
            await write(request, response, _frames(listener.id, stretch))
            listener.took(stretch)
            continue
        try:
            async with asyncio.timeout(KEEPALIVE_EVERY):
                await listener.news()
        except TimeoutError:
            await write(request, response, KEEPALIVE)


async def write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Raises ConnectionResetError for a visitor who has left, and makes one who reads nothing leave."""
    try:
        async with asyncio.timeout(STALLED):
            await response.write(data)
    except TimeoutError as error:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the visitor reads nothing") from error


def visitor(request: web.Request) -> Visitor:
    """Who asks, as the member is to see it: at our public address if we know it, whatever Host claims."""
    address = urlsplit(public_base(request))
    return Visitor(
        ip=request.remote or "127.0.0.1",
        scheme=address.scheme,
        host=address.netloc,
        origin=request.headers.get("Origin"),
    )


def _frames(launch: str, stretch: Stretch[bytes]) -> bytes:
    """Events on the wire, each with its id."""
    frames = []
    if stretch.missed:
        message = f"[{stretch.missed} events of this long launch are not kept]\n"
        note = json.dumps({"phase": "unknown", "message": message}).encode()
        frames += [_id(launch, stretch.first - 1), _framed(note)]
    for number, data in enumerate(stretch.events, stretch.first):
        frames += [_id(launch, number), _framed(data)]
    return b"".join(frames)


def _id(launch: str, number: int) -> bytes:
    return f"id: {launch}.{number}\n".encode("ascii")  # as `EventId` writes it, for every event


def _framed(data: bytes) -> bytes:
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    return b"data: " + data + b"\n\n"


def _failed(error: LaunchError) -> bytes:
    """The event, with its keys in the order that BinderHub sends them."""
    status = {} if error.status_code is None else {"status_code": error.status_code}
    return _framed(json.dumps({"phase": "failed", **status, "message": error.message + "\n"}).encode())


def routes() -> list[web.RouteDef]:
    return open_to_all(r"/build/{launch:[\s\S]*}", build)
