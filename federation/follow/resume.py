"""One launch over as many connections as it takes, by the rules of the launch page (`static/stream.js`). Knows
no terminal and does not judge the launch.

A launch whose events have ids goes on where it was, at the address that told them; any other begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from federation.core.eventid import parse_event_id
from federation.follow.stream import BrokenOff, Forgotten, Heard, Unreachable, events

DELAYS = (1.0, 2.0, 4.0, 8.0, 8.0)  # seconds before each new connection
STEADY = 30.0  # seconds; a connection that held for so long starts the count of breaks anew
MOST_BREAKS = 20  # in one launch, whatever happens
TRIES_ELSEWHERE = 2  # in a row, at a member itself; then the front door finds another one

Retry = Callable[[str], None]


class _Place:
    """Where a launch is to be gone on with, and after which event."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.forget()

    def forget(self) -> None:
        self.at, self.after = self._url, ""

    def reached(self, heard: Heard) -> None:
        """A stream without ids of our kind cannot be gone on with."""
        if parse_event_id(heard.id) is None:
            self.forget()
        else:
            self.at, self.after = heard.at, heard.id

    @property
    def elsewhere(self) -> bool:
        return self.at != self._url


async def resumed(
    url: str, retry: Retry, *, delays: Sequence[float] = DELAYS
) -> AsyncGenerator[dict[str, Any], None]:
    """The events of the launch at this URL, without end until the caller closes it.

    `retry` is told in a sentence each time that the connection broke and another is made. Raises Unreachable
    when the first connection finds no launch, BrokenOff when too many broke.
    """
    place = _Place(url)
    breaks = vain = 0  # `vain` connections in a row brought nothing
    for total in range(MOST_BREAKS + 1):
        began, vain = _now(), vain + 1
        try:
            async with aclosing(events(place.at, place.after)) as stream:
                async for heard in stream:
                    vain = 0
                    place.reached(heard)
                    yield heard.event
            problem: Unreachable = BrokenOff(f"{place.at}: the stream ended before the launch did")
        except Unreachable as error:
            if total == 0 and not isinstance(error, BrokenOff):
                raise
            problem = error
        if isinstance(problem, Forgotten) or (place.elsewhere and vain >= TRIES_ELSEWHERE):
            place.forget()
        if _now() - began > STEADY:
            breaks = 0
        if breaks == len(delays):
            break
        retry(f"{problem}; connecting again ({breaks + 1} of {len(delays)})")
        await asyncio.sleep(delays[breaks])
        breaks += 1
    raise BrokenOff(str(problem)) from problem


def _now() -> float:
    return asyncio.get_running_loop().time()
