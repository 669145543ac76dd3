"""A member that acts as our own do: its events have ids, and a launch is kept for who comes back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web
from door_stage import READY, event

STORY = [
    event(phase="waiting", message="Waiting for build to start...\n"),
    *(event(phase="building", message=f"line {number}\n") for number in range(6)),
    event(phase="built", message="Built image, launching...\n", imageName="i"),
    event(phase="launching", message="Launching server...\n"),
    event(**READY),
]


@dataclass
class OurMember:
    """What `/build` does; it has one launch at a time.

    The connection breaks after each event numbered in `breaks`; before the one numbered `held` it waits.
    """

    breaks: set[int] = field(default_factory=set)
    held: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0
    resumed: list[str] = field(default_factory=list)
    forgetful: bool = False

    async def __call__(self, request: web.Request, response: web.StreamResponse) -> None:
        last, after = request.headers.get("Last-Event-ID", ""), 0
        name = f"member-launch-{self.begun:08}"
        if last:
            self.resumed.append(last)
        if last.startswith(name) and not self.forgetful:
            after = int(last.partition(".")[2])
        else:
            self.begun += 1
            name = f"member-launch-{self.begun:08}"
        for number, data in enumerate(STORY[after:], after + 1):
            if number == self.held:
                await self.gate.wait()
            await response.write(b"id: %s.%d\n" % (name.encode(), number) + data)
            if number in self.breaks:
                self.breaks.discard(number)
                await asyncio.sleep(0.02)  # what was written arrives first
                assert request.transport is not None
                request.transport.abort()
                await asyncio.sleep(60)
