"""Sessions through JupyterHub's REST API, as BinderHub uses it (port `Hub`); knows no process and no image.

A hub that does not answer, answers nonsense or stops in the middle ends in LaunchFailed within a known time.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp.http_exceptions import LineTooLong
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from members.core.model import HealthCheck, LaunchFailed, SessionRequest
from members.core.quota import QuotaExceeded

FULL = "Too many users on this BinderHub! Try again soon."  # BinderHub's words: the front door knows them

_CHECK_LIMIT = 3.0  # seconds, as BinderHub's own health check
_PAGE = 200  # users in one answer of the hub
_LAST_WORD = 5.0  # seconds to learn how a launch ended whose progress stream broke off
_REMOVE_LIMIT = 30.0  # seconds until a removal gives up
_PAUSE = 0.25  # seconds between two looks at a server that is starting or stopping
_EVENT = b"data:"


class _Unavailable(Exception):
    """The hub answered 5xx, or not in time: trying again may help."""


class _Gone(Exception):
    """Nothing listens at the hub's address: it ended, and its sessions with it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and its JSON body; None for a body that is empty or no JSON."""

    status: int
    body: Any


class HubClient:
    """Port `Hub` for one JupyterHub. The HTTP session is the caller's, so is its end."""

    def __init__(
        self,
        *,
        http: aiohttp.ClientSession,
        api_url: str,
        proxied_api_url: str,
        api_token: str,
        public_url: str,
        user_name: Callable[[str], str],
        launch_timeout: float,
        request_timeout: float = 10.0,
        attempts: int = 4,
        retry_delay: float = 1.0,
    ) -> None:
        """The URLs end with a slash; `proxied_api_url` is the visitors' way to the API, for health.

        `user_name` makes a new name from a repository URL. A request is tried `attempts` times when the hub
        answers 5xx or not within `request_timeout` seconds, after pauses of `retry_delay` seconds and twice
        as many each time. BinderHub pauses for 4, 8 and 16 seconds; here a federation stands behind, and
        another member may be ready sooner.
        """
        self._http = http
        self._api_url = api_url
        self._proxied_api_url = proxied_api_url
        self._headers = {"Authorization": f"token {api_token}"}
        self._public_url = public_url
        self._user_name = user_name
        self._launch_timeout = launch_timeout
        self._request_timeout = aiohttp.ClientTimeout(total=request_timeout)
        self._attempts = attempts
        self._retry_delay = retry_delay

    def create(self, request: SessionRequest) -> HubSession:
        """A session of a new name, known to nobody yet: whatever ends its launch, its name can be removed."""
        name = self._user_name(request.repo_url)
        return HubSession(
            self, request, name, f"{self._public_url}user/{_quoted(name)}/", self._launch_timeout
        )

    async def sessions(self) -> dict[str, int]:
        """Running and pending servers by image."""
        counted: Counter[str] = Counter()
        offset = 0
        while True:
            try:
                reply = await self.ask("GET", f"users?state=active&limit={_PAGE}&offset={offset}")
            except (_Unavailable, _Gone) as error:
                raise LaunchFailed("JupyterHub does not answer") from error
            if reply.status != 200 or not isinstance(reply.body, list):
                raise LaunchFailed(f"JupyterHub does not tell its sessions (status {reply.status})")
            try:
                counted.update(image for user in reply.body for image in _images(user))
            except (AttributeError, TypeError) as error:
                raise LaunchFailed("JupyterHub does not tell its sessions, but nonsense") from error
            if len(reply.body) < _PAGE:
                return dict(counted)
            offset += _PAGE

    async def check(self) -> HealthCheck:
        """`JupyterHub API` of `/health`: directly and by the proxy, without which no visitor reaches a session."""
        ways = (self._api_url, self._proxied_api_url)
        try:
            async with asyncio.timeout(_CHECK_LIMIT):
                asked = (self.ask("GET", "health", at=way) for way in ways)
                replies = await asyncio.gather(*asked, return_exceptions=True)
        except TimeoutError:
            replies = [TimeoutError()]
        well = all(isinstance(reply, Reply) and reply.status == 200 for reply in replies)
        return HealthCheck("JupyterHub API", ok=well)

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
            retry=retry_if_exception_type(_Unavailable),
            reraise=True,
        )
        try:
            async with asyncio.timeout_at(deadline):
                return await retrying(once)
        except (_Unavailable, _Gone, TimeoutError) as error:
            raise LaunchFailed(failure) from error

    async def ask(
        self, method: str, path: str, *, body: Mapping[str, object] | None = None, at: str = ""
    ) -> Reply:
        """One request to the API, `at` another address than its own. Raises _Unavailable or _Gone."""
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
                    raise _Unavailable(f"{method} {path}: {response.status}")
                return Reply(response.status, _json(text))
        except aiohttp.ClientConnectorError as error:
            raise _Gone(str(error)) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _Unavailable(f"{method} {path}: {error}") from error

    async def events(self, path: str, *, deadline: float) -> AsyncIterator[dict[str, Any]]:
        """The events of one of the API's streams until it ends or breaks off; none when it is refused.

        Raises TimeoutError at `deadline` (loop time), and _Gone.
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
            raise _Gone(str(error)) from error
        except (aiohttp.ClientError, LineTooLong):
            return


class HubSession:
    """Port `Session`: one temporary user and its server."""

    def __init__(
        self, hub: HubClient, request: SessionRequest, name: str, url: str, launch_timeout: float
    ) -> None:
        self.url = url
        self.name = name
        self._hub = hub
        self._request = request
        self._launch_timeout = launch_timeout
        self._path = f"users/{_quoted(name)}"

    async def progress(self) -> AsyncIterator[str]:
        """User, server, then the hub's messages until the server answers; all within the launch timeout.

        Raises QuotaExceeded for a hub that is full, and LaunchFailed.
        """
        deadline = _now() + self._launch_timeout
        await self._create_user(deadline)
        await self._request_server(deadline)
        failure = f"Image {self._request.image} for user {self.name} failed to launch"
        told: set[str] = set()
        until = None  # a stream broke off, and by then another must have told how it ended
        try:
            while until is None or _now() < until:
                repeated = frozenset(told)  # a stream begins with everything that was said before it
                async for event in self._hub.events(f"{self._path}/server/progress", deadline=deadline):
                    if event.get("failed"):
                        raise LaunchFailed(str(event.get("message") or "unknown error"))
                    message = event.get("message")
                    if isinstance(message, str) and message not in repeated:
                        told.add(message)
                        yield message
                    if event.get("ready"):
                        return
                until = until or _now() + _LAST_WORD
                await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise LaunchFailed(
                f"Image {self._request.image} for user {self.name} took too long to launch"
            ) from None
        except _Gone as error:
            raise LaunchFailed(failure) from error
        raise LaunchFailed(failure)

    async def remove(self) -> None:
        """Server first: the hub deletes a user whose server is still starting, and would forget that server.

        A hub that is gone has taken its sessions with it. Raises LaunchFailed when it does not answer or the
        server does not end in time; the idle culler will then try again.
        """
        try:
            async with asyncio.timeout(_REMOVE_LIMIT):
                while True:
                    if await self._removed():
                        return
                    await asyncio.sleep(_PAUSE)
        except _Gone:
            return
        except TimeoutError:
            raise LaunchFailed(f"Session {self.name} could not be removed in {_REMOVE_LIMIT:.0f} s") from None

    async def _removed(self) -> bool:
        try:
            stopped = await self._hub.ask("DELETE", f"{self._path}/server")
            if stopped.status not in (204, 404):
                return False
            deleted = await self._hub.ask("DELETE", self._path)
        except _Unavailable:
            return False
        return deleted.status in (204, 404)

    async def _create_user(self, deadline: float) -> None:
        failure = f"Failed to create temporary user for {self._request.image}"
        reply = await self._hub.insist("POST", self._path, deadline=deadline, failure=failure)
        if reply.status >= 300:
            raise LaunchFailed(failure)

    async def _request_server(self, deadline: float) -> None:
        request = self._request
        options = {
            "image": request.image,
            "repo_url": request.repo_url,
            "token": request.token,
            "binder_ref_url": request.ref_url,
            "binder_launch_host": request.launch_host,
            "binder_request": request.binder_request,
            "binder_persistent_request": request.persistent_request,
            "binder_client_ip": request.client_ip,
        }
        failure = f"Failed to launch image {request.image}"
        reply = await self._hub.insist(
            "POST", f"{self._path}/servers/", deadline=deadline, failure=failure, body=options
        )
        if reply.status == 429:
            raise QuotaExceeded(FULL, "pod_quota")
        if reply.status >= 300:
            raise LaunchFailed(failure)


def _images(user: Any) -> list[str]:
    """The image of each of a user's servers, as the hub's API tells them."""
    servers = user.get("servers", {}).values()
    return [str((server.get("user_options") or {}).get("image", "")) for server in servers]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _quoted(name: str) -> str:
    return quote(name, safe="@~")


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
