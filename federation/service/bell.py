"""Wakes whoever waits for news. Knows no news: who is woken looks for itself."""

from __future__ import annotations

import asyncio


class Bell:
    """Between a look and `heard` nothing may be awaited, else a ring in between is missed."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def heard(self) -> None:
        """Returns at the next ring."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)
