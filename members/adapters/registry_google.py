"""Google Artifact Registry's credentials: tokens of the machine's own service account. Knows no image."""

from __future__ import annotations

import asyncio

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from members.adapters.registry_ask import TryAgain, ask
from members.adapters.registry_auth import token_of
from members.core.imageref import config_key
from members.core.model import Credentials

METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
_USER = "oauth2accesstoken"
_SPARE = 0.8  # of a token's life that it is used for: a push that begins with it may last
_LIMIT = 3.0  # seconds for the metadata server, which is on the same machine


class GoogleLogin:
    """A login that is good for an hour and renewed in time."""

    def __init__(self, http: aiohttp.ClientSession, host: str, url: str = METADATA) -> None:
        self._http = http
        self._url = url
        self._key = config_key(host)
        self._kept: tuple[float, str] | None = None
        self._lock = asyncio.Lock()

    async def __call__(self) -> Credentials:
        """Raises RegistryDown when the metadata server gives no token."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._kept is None or self._kept[0] <= now:
                token, lifetime = await self._fetch()
                self._kept = now + _SPARE * lifetime, token
            return Credentials(_USER, self._kept[1], self._key)

    async def _fetch(self) -> tuple[str, float]:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TryAgain),
            stop=stop_after_attempt(3),
            wait=wait_exponential(multiplier=0.1),
            reraise=True,
        )
        headers = {"Metadata-Flavor": "Google"}
        async for attempt in retrying:
            with attempt:
                reply = await ask(self._http, "GET", self._url, headers=headers, limit=_LIMIT)
                return token_of(reply, "this machine's service account")
        raise AssertionError("tenacity ends with an answer or an error")
