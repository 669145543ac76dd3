"""The live stream of events, put together. Holds no logic of its own."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from aiohttp import web

from federation.app.door import FrontDoor
from federation.service.heartbeat import heartbeat
from federation.service.live import EVERY, Live
from federation.service.live_facts import LiveFacts
from federation.web import api, events
from federation.web.private import encoded


def add_live_events(app: web.Application, door: FrontDoor) -> None:
    """To be called after every part that the stream asks has its place in the application."""
    live = Live(lambda named: api.members_document(app, named=named), encoded, time.monotonic)
    facts = LiveFacts(live, door.decisions)

    def beat() -> None:
        facts.beat()
        live.beat()

    async def beating(_: web.Application) -> AsyncIterator[None]:
        async with heartbeat("live events", beat, door.tell, every=EVERY):
            yield

    app[events.LIVE] = live
    app.cleanup_ctx.append(beating)
    app.add_routes(events.routes())
    door.subscribe(facts.listen)
