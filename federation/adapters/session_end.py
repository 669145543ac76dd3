"""Ends a Jupyter server through its own API. Knows neither hub nor launch."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import aiohttp
from yarl import URL

from federation.core.target import plain_server

LIMIT = 10.0  # seconds for the whole question


class HttpSessionEnd:
    """`SessionEnd` over one HTTP session. The token goes to the server that it came with, and nowhere else."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def end(self, url: str, token: str) -> None:
        if not plain_server(url):
            return
        asked = f"{url.removesuffix('/')}/api/shutdown?token={quote(token, safe='')}"
        with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            limit = aiohttp.ClientTimeout(total=LIMIT)
            async with self._session.post(URL(asked, encoded=True), allow_redirects=False, timeout=limit):
                pass  # how it answers changes nothing
