"""`/build/…`: a launch as a stream of server-sent events. Knows how to speak, not what is said.

Whatever goes wrong is told as an event of a stream with status 200, as BinderHub does: a browser's
EventSource shows its page nothing of any other answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from members.core import phases
from members.core.facts import Trouble
from members.core.model import LaunchRequest
from members.core.phases import Event
from members.service.streams import closing
from members.web import gate
from members.web.accept import EVENT_STREAM
from members.web.keys import ABOUT, CLOSING, RUN, TELL
from members.web.visitor import client_ip, launch_host

KEEPALIVE_AFTER = 25.0  # seconds without an event; proxies commonly cut after 30 or 60
_KEEPALIVE = b":keepalive\n\n"
_WRITE_TIMEOUT = 60.0  # seconds in which a visitor who reads nothing must take some bytes
_CLOSING = phases.refused(503, "This member is shutting down. Please try again.")


async def build(request: web.Request) -> web.StreamResponse:
    """GET: the launch. HEAD: the headers of a launch, and no launch."""
    response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache"})
    if request.method == "HEAD":
        return web.Response(headers=response.headers)
    refusal = await gate.check(request)
    await response.prepare(request)
    with suppress(ConnectionError, TimeoutError):
        async with closing(_refused(refusal) if refusal else _events(request)) as events:
            await _send_all(response, events, request.app[CLOSING])
        await response.write_eof()
    return response


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
    )


async def _refused(event: Event) -> AsyncIterator[Event]:
    yield event


async def _events(request: web.Request) -> AsyncIterator[Event]:
    try:
        async with closing(request.app[RUN](launch_request(request))) as events:
            async for event in events:
                yield event
    except Exception as error:
        # The edge of the member: a visitor gets a plain end, the log gets the whole error.
        request.app[TELL](Trouble("launch", error))
        yield phases.refused(500, "Internal Server Error")


async def _send_all(response: web.StreamResponse, events: AsyncIterator[Event], end: asyncio.Event) -> None:
    """Sends events as they come and comments while none does, until the last one or until `end` is set."""
    ending = asyncio.create_task(end.wait(), name="end of streams")
    coming: asyncio.Task[Event | None] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(events), name="next event")
            await asyncio.wait({coming, ending}, timeout=KEEPALIVE_AFTER, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                event, coming = coming.result(), None
                if event is None:
                    return
                await _write(response, encode(event))
            elif ending.done():
                await _write(response, encode(_CLOSING))
                return
            else:
                await _write(response, _KEEPALIVE)
    finally:
        await _cancel(ending)
        if coming is not None:
            await _cancel(coming)


def encode(event: Event) -> bytes:
    """One event on the wire: BinderHub's own spacing, ASCII only, so no line break can end it early."""
    return f"data: {json.dumps(event)}\n\n".encode("ascii")


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(_WRITE_TIMEOUT):
        await response.write(data)


async def _cancel(task: asyncio.Task[Event | None] | asyncio.Task[bool]) -> None:
    """Ends a task of ours and waits for its end; what it had to say interests nobody any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
