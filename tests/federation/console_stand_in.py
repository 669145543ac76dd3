"""Stands in for steering and the live stream of events where the front door has none yet; once it has both, this file,
its use in `console_stage` and `Door.middlewares` are to be deleted."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any

from aiohttp import web
from door_stage import Door

from federation.core.facts import LaunchEnded
from federation.core.rules import Role
from federation.core.steering import NOTHING_SET, Override, Word, applied
from federation.web import identity
from federation.web.api import answer

BASE = "/federation/v1/"
STEERS = find_spec("federation.service.steering") is not None
TELLS = find_spec("federation.web.events") is not None


def stand_in(door: Door) -> None:
    """Before the door opens."""
    door.middlewares.append(StandIn(door).middleware)


class StandIn:
    def __init__(self, door: Door) -> None:
        self._door = door
        self._members = door.settings.members
        self._overrides: dict[str, Override] = {}

    @web.middleware
    async def middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.path.startswith(BASE):
            return await handler(request)
        part = request.path.removeprefix(BASE)
        if STEERS and part != "events":
            return await handler(request)
        if part == "members":
            return answer(self._document(await handler(request)))
        if part == "events" and not TELLS:
            return await self._events(request, handler)
        if part.startswith("members/") and "/" not in (name := part.removeprefix("members/")):
            return await (self._patch if request.method == "PATCH" else self._one)(request, name)
        return await handler(request)

    def _document(self, response: Any) -> dict[str, Any]:
        document = json.loads(response.body)
        for one in document["members"]:
            override = self._overrides.get(one["name"], NOTHING_SET)
            configured = next(member.weight for member in self._members if member.name == one["name"])
            one["configured_weight"] = configured
            one["weight"] = configured if override.weight is None else override.weight
            one["override"] = _told(override)
        return document

    async def _now(self) -> dict[str, Any]:
        async with self._door.ask(f"{BASE}members") as response:
            return dict(await response.json())

    def _etag(self, name: str) -> str:
        return f'"{blake2b(repr(self._overrides.get(name)).encode(), digest_size=8).hexdigest()}"'

    async def _one(self, request: web.Request, name: str) -> web.Response:
        told = next(one for one in (await self._now())["members"] if one["name"] == name)
        response = answer(told)
        response.headers["ETag"] = self._etag(name)
        return response

    async def _patch(self, request: web.Request, name: str) -> web.Response:
        try:
            operator = identity.required(request, Role.OPERATOR)
        except identity.NotAllowed as error:
            return error.answer()
        if request.headers["If-Match"] not in ("*", self._etag(name)):
            return answer({"status": 412, "message": "Somebody changed it"}, status=412)
        asked = await request.json()
        word = Word(operator.name, asked.get("reason", ""), time.time(), asked.get("until"))
        before = self._overrides.get(name, NOTHING_SET)
        if "weight" in asked:
            weight = asked["weight"]
            before = replace(before, weight=weight, weighted=None if weight is None else word)
        if "state" in asked:
            before = replace(before, drained=word if asked["state"] == "drained" else None)
        self._overrides[name] = before
        self._door.reconfigure(applied(self._members, self._overrides, time.time()))
        return await self._one(request, name)

    async def _events(self, request: web.Request, handler: Any) -> web.StreamResponse:
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
                now = await self._now()
                if ended:
                    ended.clear()
                    await response.write(b"event: decision\ndata: {}\n\n")
                if now != last:
                    await response.write(b"event: members\ndata: " + json.dumps(now).encode() + b"\n\n")
                last = now
                await asyncio.sleep(0.3)
        finally:
            door._listeners.remove(listen)


def _told(override: Override) -> dict[str, Any] | None:
    def word(one: Word | None, **more: Any) -> dict[str, Any] | None:
        said = one and {"by": one.by, "reason": one.reason, "at": one.at, "until": one.until, **more}
        return said or None

    if override in (NOTHING_SET, Override()):
        return None
    return {"weight": word(override.weighted, value=override.weight), "drained": word(override.drained)}
