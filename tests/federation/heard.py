"""A listener to the front door's live stream of events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp


class Heard:
    """The events of one connection, as they come."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def block(self) -> list[str]:
        """The lines up to the next blank one. Raises EOFError at the end."""
        lines: list[str] = []
        async with asyncio.timeout(30):
            while line := (await self.answer.content.readline()).decode():
                if line == "\n":
                    return lines
                lines.append(line.rstrip("\n"))
        raise EOFError

    async def next(self, *names: str) -> Any:
        """The document of the next event with one of these names."""
        while True:
            lines = await self.block()
            if len(lines) == 2 and lines[0].removeprefix("event: ") in names:
                return json.loads(lines[1].removeprefix("data: "))

    async def state(self, place: int, state: str) -> None:
        while (await self.next("members"))["members"][place]["state"] != state:
            pass
