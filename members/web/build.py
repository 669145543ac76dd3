"""`/build/…`: a launch as a stream of server-sent events. Knows how to speak, not what is said.

Whatever goes wrong is told as an event of a stream with status 200, as BinderHub does: a browser's
EventSource shows its page nothing of any other answer.
"""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from members.core import phases
from members.core.eventlog import Stretch
from members.core.model import BuildLine, LaunchRequest
from members.core.phases import Event, News
from members.service.launches import Listener
from members.web import gate
from members.web.accept import EVENT_STREAM
from members.web.keys import ABOUT, LAUNCHES
from members.web.visitor import client_ip, launch_host

KEEPALIVE_AFTER = 25.0  # seconds without an event; proxies commonly cut after 30 or 60
_KEEPALIVE = b":keepalive\n\n"
_WRITE_TIMEOUT = 60.0  # seconds in which a visitor who reads nothing must take some bytes
_HEADERS = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache"}
_CLOSING = phases.refused(503, "This member is shutting down. Please try again.")


async def build(request: web.Request) -> web.StreamResponse:
    """GET: a launch, or what follows in one that is known. HEAD: the headers of a launch, and no launch."""
    if request.method == "HEAD":
        return web.Response(headers=_HEADERS)
    launches = request.app[LAUNCHES]
    if (refusal := await gate.check(request)) is not None:
        return _only(refusal)
    # From here to its listener nothing is awaited for a launch that is known, or it could be given up in between.
    known = launches.find(request.headers.get("Last-Event-ID", ""), launch_request(request))
    if known is None and (refusal := await gate.check_new(request)) is not None:
        return _only(refusal)
    launch, after = known or (launches.begin(launch_request(request)), 0)
    with launches.listening(launch, after) as listener:
        # A browser's EventSource that has all of it would ask for ever; this status tells it to stop. No cache may
        # keep it: it is of this client, and others ask at the same address.
        if listener.over:
            return web.Response(status=204, headers={"Cache-Control": "no-store"})
        return await _told(request, listener)


def launch_request(request: web.Request) -> LaunchRequest:
    """The visitor's wish, its spec from the path as it came: decoding would merge `%2F` with `/`."""
    about = request.app[ABOUT]
    rest = request.rel_url.raw_path.removeprefix(f"{about.base_url}build/")
    provider, _, spec = rest.partition("/")
    return LaunchRequest(
        provider=provider,
        spec=spec.rstrip("/"),
        client_ip=client_ip(request),
        launch_host=launch_host(request, about),
        build_only=gate.wants_build_only(request),
        visit=gate.visit(request),
        user=gate.user(request),
    )


def _only(event: Event) -> web.Response:
    """A stream of this one event, which is of no launch."""
    return web.Response(body=encode(event), headers=_HEADERS)


async def _told(request: web.Request, listener: Listener) -> web.StreamResponse:
    response = web.StreamResponse(headers=_HEADERS)
    try:
        await response.prepare(request)
        await _send_all(response, listener)
        await response.write_eof()
    except ConnectionError:
        pass  # the visitor left while we wrote
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()  # else the server would wait on until all of it is read
    return response


async def _send_all(response: web.StreamResponse, listener: Listener) -> None:
    """Sends events as they come and comments while none does, until the last one or the member's end."""
    while not listener.over:
        stretch = listener.next()
        if stretch.events:
            await _hand_over(response, listener, stretch)
        elif listener.closing:
            await _write(response, encode(_CLOSING))
            return
        else:
            try:
                async with asyncio.timeout(KEEPALIVE_AFTER):
                    await listener.news()
            except TimeoutError:
                await _write(response, _KEEPALIVE)


async def _hand_over(response: web.StreamResponse, listener: Listener, stretch: Stretch[News]) -> None:
    """Writes these events. Once all are on their way they count as taken, whatever ends this connection then:
    a server whose address somebody may have read is never removed."""
    try:
        await _write(response, _framed(listener.id, stretch))
    except asyncio.CancelledError:
        listener.took(stretch)
        raise
    listener.took(stretch)


def _framed(launch: str, stretch: Stretch[News]) -> bytes:
    """Events on the wire, each with its id."""
    frames = []
    if stretch.missed:
        note = BuildLine(f"[{stretch.missed} events of this long launch are not kept]\n")
        frames += [_id(launch, stretch.first - 1), encode(phases.event_of(note))]
    for number, news in enumerate(stretch.events, stretch.first):
        frames += [_id(launch, number), encode(phases.event_of(news))]
    return b"".join(frames)


def _id(launch: str, number: int) -> bytes:
    return f"id: {launch}.{number}\n".encode("ascii")  # as `EventId` writes it, for every event


def encode(event: Event) -> bytes:
    """One event on the wire: BinderHub's own spacing, ASCII only, so no line break can end it early."""
    return f"data: {json.dumps(event)}\n\n".encode("ascii")


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Raises ConnectionError for a visitor who has left, TimeoutError for one who reads nothing."""
    async with asyncio.timeout(_WRITE_TIMEOUT):
        await response.write(data)
