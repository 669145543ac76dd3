"""`/federation/v1/events`: how the members stand and what happens, as server-sent events. Makes no event itself.

Events have no ids, and `Last-Event-ID` is not read: a stream begins with the whole state, so nothing has to be made
up for, and what happened meanwhile is found at the addresses of decisions and incidents, by time and number.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from federation.service.live import Crowded, Listener, Live
from federation.web.api import answer
from federation.web.cors import open_to_all
from federation.web.identity import identify
from federation.web.launch import KEEPALIVE, KEEPALIVE_EVERY, STREAM_HEADERS, STREAMS, write

LIVE = web.AppKey("live", Live)

COME_BACK = b"retry: 3000\n\n"  # milliseconds until a browser whose stream ended asks again
FULL_FOR = 30  # seconds until one who found no place should ask again


async def events(request: web.Request) -> web.StreamResponse:
    """The members at the start and whenever something about them changes, and what happens meanwhile. An operator or
    viewer hears more than the public, as long as the token or session that was shown is good."""
    if request.method == "HEAD":
        return web.Response(headers=STREAM_HEADERS)
    inside = identify(request) is not None
    live = request.app[LIVE]
    try:
        with (live.inside if inside else live.public).listening() as listener:
            return await _told(request, listener, inside)
    except Crowded:
        told = answer({"status": 503, "message": "As many listen as may; ask again later"}, status=503)
        told.headers["Retry-After"] = str(FULL_FOR)
        return told


async def _told(request: web.Request, listener: Listener, inside: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers=STREAM_HEADERS)
    if inside:
        response.headers["Cache-Control"] = "no-store"
    try:
        await response.prepare(request)
        async with request.app[STREAMS].scope():
            await write(request, response, COME_BACK)
            await _send_all(request, response, listener, inside)
        await response.write_eof()
    except ConnectionResetError:
        pass  # who listened has left
    return response


async def _send_all(
    request: web.Request, response: web.StreamResponse, listener: Listener, inside: bool
) -> None:
    """Until the stream is ended, or a token that was good is good no more."""
    while not inside or identify(request) is not None:
        if news := listener.next():
            await write(request, response, news)
            continue
        try:
            async with asyncio.timeout(KEEPALIVE_EVERY):
                await listener.news()
        except TimeoutError:
            await write(request, response, KEEPALIVE)


def routes() -> list[web.RouteDef]:
    return open_to_all("/federation/v1/events", events)
