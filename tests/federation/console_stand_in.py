"""Stands in for the live stream of events where the front door has none yet; once it has one, this file, its use in
`console_stage` and `Door.middlewares` are to be deleted."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from typing import Any

from aiohttp import web
from door_stage import Door

from federation.core.facts import LaunchEnded
from federation.web.api import members_document

PATH = "/federation/v1/events"


def stand_in(door: Door) -> None:
    """Before the door opens."""
    if find_spec("federation.web.events") is None:
        door.middlewares.append(StandIn(door).middleware)


class StandIn:
    def __init__(self, door: Door) -> None:
        self._door = door

    @web.middleware
    async def middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        return await (self._events(request) if request.path == PATH else handler(request))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        ended: list[LaunchEnded] = []
        door = self._door.door

        def listen(fact: object) -> None:
            if isinstance(fact, LaunchEnded):
                ended.append(fact)

        door.subscribe(listen)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        last = None
        try:
            while True:
                now = json.loads(json.dumps(members_document(request.app, named=True), default=dict))
                if ended:
                    ended.clear()
                    await response.write(b"event: decision\ndata: {}\n\n")
                if now != last:
                    await response.write(b"event: members\ndata: " + json.dumps(now).encode() + b"\n\n")
                last = now
                await asyncio.sleep(0.3)
        finally:
            door._listeners.remove(listen)
