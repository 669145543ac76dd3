"""How long the event loop lets a tick wait: what a member that is slow for everybody shows first. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

TICK = 0.02  # seconds, as JupyterHub's


@asynccontextmanager
async def watched_loop(observe: Callable[[float], None]) -> AsyncIterator[None]:
    """Tells the seconds between two ticks for as long as the block lasts."""
    task = asyncio.create_task(_tick(observe), name="event loop interval")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _tick(observe: Callable[[float], None]) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    while True:
        await asyncio.sleep(TICK)
        now = loop.time()
        observe(now - before)
        before = now
