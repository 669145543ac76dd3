"""Waits until a starting server answers; knows no spawner.

JupyterHub looks again after pauses that grow to seconds. Looking here first, more often, makes its own first look
succeed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

LOOK_EVERY = 0.05  # seconds between two looks whether a starting server answers
_ANSWER_LIMIT = 5.0  # seconds that one such request may take


async def until_it_answers(url: str, alive: Callable[[], Awaitable[None]]) -> None:
    """Returns at the first answer of the server whose base URL this is, with trailing slash.

    `alive` is asked before each look and raises when nothing will ever answer.
    """
    timeout = aiohttp.ClientTimeout(total=_ANSWER_LIMIT)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        while True:
            await alive()
            try:
                async with http.get(f"{url}api", allow_redirects=False) as response:
                    if response.status < 500:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(LOOK_EVERY)
