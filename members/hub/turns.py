"""Lets sessions start a few at a time, first come first served; knows no spawner.

A start is mostly work for the processor. Twenty at once would all be ready at the very end; a few at a time, the
last is ready at the same moment, and the first long before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Gives out turns."""

    def __init__(self, count: int, limit: float) -> None:
        """`count` turns at once. A start that takes longer than `limit` seconds goes on without holding others up."""
        self._free = asyncio.Semaphore(count)
        self._limit = limit

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn, which is over with the block."""
        await self._free.acquire()
        over = False

        def end() -> None:
            nonlocal over
            if not over:
                over = True
                self._free.release()

        timer = asyncio.get_running_loop().call_later(self._limit, end)
        try:
            yield
        finally:
            timer.cancel()
            end()
