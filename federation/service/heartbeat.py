"""Calls what time alone changes, about once a second. Knows nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from federation.core.facts import Listener, LoopFailed

EVERY = 1.0  # seconds


@asynccontextmanager
async def heartbeat(
    name: str, beat: Callable[[], None], tell: Listener, *, every: float = EVERY
) -> AsyncIterator[None]:
    """Beats as long as the block lasts. A fault of ours is told, and the next beat comes nevertheless."""

    async def run() -> None:
        while True:
            try:
                beat()
            except Exception as error:
                tell(LoopFailed(name, error))
            await asyncio.sleep(every)

    task = asyncio.create_task(run(), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
