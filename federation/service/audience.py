"""Whether anybody still listens to a launch. Knows neither launch nor listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from federation.service.bell import Bell


class Audience:
    """How many listen now, for one who works for them."""

    def __init__(self) -> None:
        self.size = 0
        self._bell = Bell()
        self._scope: asyncio.Timeout | None = None

    def join(self) -> None:
        self.size += 1
        self._bell.ring()

    def leave(self) -> None:
        self.size -= 1
        if self.size == 0 and self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def somebody(self) -> None:
        """Returns when somebody listens."""
        while self.size == 0:
            await self._bell.heard()

    @contextmanager
    def needed_for(self, scope: asyncio.Timeout) -> Iterator[None]:
        """Lets the scope expire when the last one leaves while the block lasts."""
        self._scope = scope
        try:
            yield
        finally:
            self._scope = None
