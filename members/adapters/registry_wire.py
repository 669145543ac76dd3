"""Questions to one registry: let in, repeated while that may help, ended in a known time. Knows no manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
    wait_random_exponential,
)

from members.adapters.registry_ask import Reply, TryAgain, ask
from members.adapters.registry_auth import Auth, Login
from members.core.model import RegistryDown, RegistryState

_ATTEMPTS = 4
_BACKOFF = wait_random_exponential(multiplier=0.2, max=2)


def _wait(state: RetryCallState) -> float:
    """As long as the server asks for; else a little longer each time, and never all at once."""
    error = state.outcome.exception() if state.outcome else None
    after = error.after if isinstance(error, TryAgain) else None
    return _BACKOFF(state) if after is None else after


class Wire:
    """The API of one registry. The HTTP session is the caller's, so is its end."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        login: Login,
        *,
        timeout: float,
        token_url: str | None = None,
    ) -> None:
        """`timeout` seconds for one question, its repetitions, redirects and tokens included."""
        self.url = url
        self._http = http
        self._timeout = timeout
        self._try_limit = timeout / 2
        self._auth = Auth(
            http, login, token_url=token_url, secure=url.startswith("https:"), limit=self._try_limit
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        attempts: int = _ATTEMPTS,
    ) -> Reply:
        """The answer to a question at `path`, which may be a whole URL that the registry gave.

        Its status is below 500 and neither 408 nor 429. Raises RegistryDown when there is no such answer in time.
        """
        url = path if "://" in path else f"{self.url}{path}"
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TryAgain),
            stop=stop_any(stop_after_attempt(attempts), stop_before_delay(self._timeout)),
            wait=_wait,
            reraise=True,
        )
        try:
            async with asyncio.timeout(self._timeout):
                async for attempt in retrying:
                    with attempt:
                        return await self._once(method, url, scope, headers or {}, data)
        except TimeoutError as error:
            raise RegistryDown(
                f"{self.url} did not answer within {self._timeout:g} seconds", RegistryState.UNREACHABLE
            ) from error
        raise AssertionError("tenacity ends with an answer or an error")

    async def _once(
        self, method: str, url: str, scope: str, headers: Mapping[str, str], data: bytes | None
    ) -> Reply:
        """Shows what the registry wants to see, and what it wants then; all other headers stay as they are."""
        shown = await self._auth.header(scope) if self._is_own(url) else None
        reply = await self._send(method, url, headers, shown, data)
        if reply.status == 401 and self._is_own(url):
            better = await self._auth.answer(reply.challenges, scope, shown)
            if better is not None:
                reply = await self._send(method, url, headers, better, data)
        return reply

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str | None, data: bytes | None
    ) -> Reply:
        sent = dict(headers) if authorization is None else {**headers, "Authorization": authorization}
        return await ask(self._http, method, url, headers=sent, limit=self._try_limit, data=data)

    def _is_own(self, url: str) -> bool:
        """Whether credentials may go there: a registry may send uploads to a store with secrets in its URLs."""
        return url.startswith(f"{self.url}/")
