"""Follows an engine's word of sessions that ended, and tries on where one could not be removed. Knows no spawner.

A hub that only asks now and then leads visitors to an address where nobody is, and the kernel lets them wait there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import quote

import aiohttp

_EVENTS = aiohttp.ClientTimeout(
    total=None, sock_connect=5, sock_read=60.0
)  # then everything is looked at anew
_ANSWER = aiohttp.ClientTimeout(total=60.0, sock_connect=5)
_PAUSE = 1.0  # seconds until an engine that is gone is asked again
_API = "http://engine"  # the host is not looked at

_UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError)

Ended = Callable[[], Awaitable[object]]


class EngineWatch:
    """The containers of one label, by name. Its task begins with the first of them and ends with the hub."""

    def __init__(self, socket: str, label: str) -> None:
        """`socket` is a path; `label` is `key=value`."""
        self._socket = socket
        self._filters = json.dumps({"type": ["container"], "event": ["die"], "label": [label]})
        self._ended: dict[str, Ended] = {}
        self._left: set[str] = set()
        self._looks: set[asyncio.Future[object]] = set()
        self._task: asyncio.Task[None] | None = None

    def follow(self, name: str, ended: Ended) -> None:
        """`ended` is called when the container may have ended: it has to look itself."""
        self._ended[name] = ended
        self._begin()

    def forget(self, name: str) -> None:
        self._ended.pop(name, None)

    def left_behind(self, name: str) -> None:
        """The container could not be removed; this is tried again until it works."""
        self._left.add(name)
        self._begin()

    async def clear(self, name: str) -> None:
        """Removes what was left behind under this name, before another container gets it."""
        if name in self._left:
            with suppress(*_UNREACHABLE):  # the container's creation will say so
                async with self._open() as http:
                    await self._remove(http, name)

    async def close(self) -> None:
        going = {future for future in (self._task, *self._looks) if future is not None}
        for future in going:
            future.cancel()
        await asyncio.gather(*going, return_exceptions=True)

    def _begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="engine watch")

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(self._socket), timeout=_ANSWER)

    async def _run(self) -> None:
        async with self._open() as http:
            while True:
                try:
                    await self._follow(http)
                except (*_UNREACHABLE, ValueError, KeyError, TypeError):
                    await asyncio.sleep(_PAUSE)

    async def _follow(self, http: aiohttp.ClientSession) -> None:
        """One stream of events until it breaks off or nothing has happened for a while."""
        url = f"{_API}/events?filters={quote(self._filters)}"
        async with http.get(url, timeout=_EVENTS) as stream:
            stream.raise_for_status()
            # The engine is there: now for what it said while nobody listened.
            for name in list(self._left):
                await self._remove(http, name)
            for name in list(self._ended):
                self._tell(name)
            while line := await stream.content.readline():
                self._tell(json.loads(line)["Actor"]["Attributes"]["name"])

    def _tell(self, name: str) -> None:
        """Beside the stream: the end of one session, with all that belongs to it, must not hold up the next one's."""
        ended = self._ended.get(name)
        if ended is not None:
            look = asyncio.ensure_future(ended())
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    async def _remove(self, http: aiohttp.ClientSession, name: str) -> None:
        async with http.delete(f"{_API}/containers/{quote(name)}?force=1&v=1") as reply:
            if reply.status in (204, 404):
                self._left.discard(name)
