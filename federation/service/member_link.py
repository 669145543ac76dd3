"""One launch on one member, over as many connections as it takes. Knows no other member and judges nothing.

Only a member that names its events in our members' way can go on where it was; any other one's stream
ends with its connection, as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from federation.core.errors import BrokenOff, TooSlow
from federation.core.eventid import parse_event_id
from federation.service.audience import Audience
from federation.service.ports import Frame

PAUSES = (0.1, 0.5)  # seconds before a broken stream is opened anew, until nothing more is tried
MOST_BREAKS = 20  # in one launch, however much each connection brought: another member may do better

Open = Callable[
    [str], AsyncGenerator[Frame, None]
]  # the stream after the event with this id; all of it for ""


class _NobodyListens(Exception):
    """The launch's visitors are away, and the member can keep it for them."""


class MemberLink:
    """The frames of a launch, within `limit` seconds from now.

    When nobody listens the connection is closed: the member alone then knows whether its launch is still
    wanted, gives it up in time, and does not take a front door for a visitor who got a server.
    """

    def __init__(self, open: Open, audience: Audience, limit: float) -> None:
        self._open = open
        self._audience = audience
        self._limit = limit
        self._deadline = asyncio.get_running_loop().time() + limit
        self._after = ""  # the id of the last event, if the member can go on from there
        self._breaks = 0  # since the last event
        self._breaks_in_all = 0

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Raises MemberFault as `MemberStreams.open` does, and TooSlow. Ends when the member's stream does."""
        while True:
            try:
                async with aclosing(self._connection()) as frames:
                    async for frame in frames:
                        yield frame
                broken = None
            except BrokenOff as error:
                broken = error
            except _NobodyListens:
                await self._until_wanted()
                continue
            self._breaks_in_all += 1
            if not self._after or self._breaks == len(PAUSES) or self._breaks_in_all > MOST_BREAKS:
                if broken is not None:
                    raise broken
                return
            await asyncio.sleep(PAUSES[self._breaks])
            self._breaks += 1

    async def _connection(self) -> AsyncGenerator[Frame, None]:
        async with aclosing(self._open(self._after)) as frames:
            while (frame := await self._next(frames)) is not None:
                self._breaks = 0
                self._after = frame.id if parse_event_id(frame.id) else ""
                yield frame

    async def _next(self, frames: AsyncGenerator[Frame, None]) -> Frame | None:
        """None at the end of the stream."""
        if self._forsaken():
            raise _NobodyListens
        try:
            async with asyncio.timeout_at(self._deadline) as scope:
                if not self._after:
                    return await anext(frames)
                with self._audience.needed_for(scope):
                    return await anext(frames)
        except StopAsyncIteration:
            return None
        except TimeoutError as error:
            # Somebody may listen again by now; the connection is gone all the same.
            if scope.when() != self._deadline:
                raise _NobodyListens from error
            raise self._too_slow() from error

    async def _until_wanted(self) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._audience.somebody()
        except TimeoutError as error:
            raise self._too_slow() from error

    def _forsaken(self) -> bool:
        return bool(self._after) and self._audience.size == 0

    def _too_slow(self) -> TooSlow:
        return TooSlow(f"took longer than {self._limit:g} s")
