"""JupyterHub's REST API and its event streams, asked with patience; knows no session.

A hub that does not answer, answers nonsense or stops in the middle ends in an error within a known time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.http_exceptions import LineTooLong
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from members.core.model import LaunchFailed

_EVENT = b"data:"


class Unavailable(Exception):
    """The hub answered 5xx, or not in time: trying again may help."""


class Gone(Exception):
    """Nothing listens at the hub's address: it ended, and its sessions with it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and its JSON body; None for a body that is empty or no JSON."""

    status: int
    body: Any


class HubApi:
    """One JupyterHub, asked in the name of one of its services. The HTTP session is the caller's."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        token: str,
        *,
        request_timeout: float,
        attempts: int,
        retry_delay: float,
    ) -> None:
        """`url` ends with a slash. See HubClient for the times."""
        self._http = http
        self._api_url = url
        self._headers = {"Authorization": f"token {token}"}
        self._request_timeout = aiohttp.ClientTimeout(total=request_timeout)
        self._attempts = attempts
        self._retry_delay = retry_delay

    async def insist(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        failure: str,
        body: Mapping[str, object] | None = None,
    ) -> Reply:
        """As `ask`, with further tries until `deadline` (loop time); raises LaunchFailed with `failure`.

        409 counts as success from the second try on: the first did its work, only its answer was lost.
        """
        tries = 0

        async def once() -> Reply:
            nonlocal tries
            tries += 1
            reply = await self.ask(method, path, body=body)
            return Reply(200, None) if reply.status == 409 and tries > 1 else reply

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_exponential(multiplier=self._retry_delay),
            retry=retry_if_exception_type(Unavailable),
            reraise=True,
        )
        try:
            async with asyncio.timeout_at(deadline):
                return await retrying(once)
        except (Unavailable, Gone, TimeoutError) as error:
            raise LaunchFailed(failure) from error

    async def ask(
        self, method: str, path: str, *, body: Mapping[str, object] | None = None, at: str = ""
    ) -> Reply:
        """One request to the API, `at` another address than its own. Raises Unavailable or Gone."""
        try:
            async with self._http.request(
                method,
                (at or self._api_url) + path,
                headers=self._headers,
                json=body,
                timeout=self._request_timeout,
                allow_redirects=False,
            ) as response:
                text = await response.text(errors="replace")
                if response.status >= 500:
                    raise Unavailable(f"{method} {path}: {response.status}")
                return Reply(response.status, _json(text))
        except aiohttp.ClientConnectorError as error:
            raise Gone(str(error)) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"{method} {path}: {error}") from error

    async def events(self, path: str, *, deadline: float) -> AsyncIterator[dict[str, Any]]:
        """The events of one of the API's streams until it ends or breaks off; none when it is refused.

        Raises TimeoutError at `deadline` (loop time), and Gone.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._http.get(
                    self._api_url + path, headers=self._headers, timeout=timeout, allow_redirects=False
                )
            async with response:
                while True:
                    async with asyncio.timeout_at(deadline):
                        line = await response.content.readline()
                    if not line:
                        return
                    event = _json(line[len(_EVENT) :]) if line.startswith(_EVENT) else None
                    if isinstance(event, dict):
                        yield event
        except aiohttp.ClientConnectorError as error:
            raise Gone(str(error)) from error
        except (aiohttp.ClientError, LineTooLong):
            return


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
