"""One server at JupyterHub, from the wish to ready or removal (port `Session`); knows no image's content.

A visitor without a login gets a temporary user; one who logged in gets a server of their own name.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from members.adapters.hub_api import Gone, HubApi, Unavailable
from members.core.model import AlreadyRunning, LaunchFailed, SessionRequest
from members.core.quota import QuotaExceeded

FULL = "Too many users on this BinderHub! Try again soon."  # BinderHub's words: the front door knows them

_LAST_WORD = 5.0  # seconds to learn how a launch ended whose progress stream broke off
_REMOVE_LIMIT = 30.0  # seconds until a removal gives up
_PAUSE = 0.25  # seconds between two looks at a server that is starting or stopping


@dataclass(frozen=True, slots=True)
class Address:
    """Whose server, and which of theirs: the name of the default server is empty."""

    user: str
    server: str = ""

    @property
    def api_user(self) -> str:
        """The user in the hub's API."""
        return f"users/{_quoted(self.user)}"

    @property
    def api_server(self) -> str:
        """The server there, to follow it and to stop it."""
        return f"{self.api_user}/{f'servers/{_quoted(self.server)}' if self.server else 'server'}"

    @property
    def api_start(self) -> str:
        """Where the server is asked for; the default one leaves a slash at the end."""
        return f"{self.api_user}/servers/{_quoted(self.server)}"

    def url(self, public_url: str) -> str:
        """The server for visitors, with trailing slash; `public_url` is the hub's."""
        server = f"{_quoted(self.server)}/" if self.server else ""
        return f"{public_url}user/{_quoted(self.user)}/{server}"


class HubSession(ABC):
    """What both kinds share. `_admit` and `_removed` are the kinds' own."""

    def __init__(
        self, api: HubApi, request: SessionRequest, address: Address, public_url: str, launch_timeout: float
    ) -> None:
        self.url = address.url(public_url)
        self.name = address.user
        self._api = api
        self._request = request
        self._address = address
        self._launch_timeout = launch_timeout
        self._asked_for = False  # whether the server may be ours

    async def progress(self) -> AsyncIterator[str]:
        """User, server, then the hub's messages until the server answers; all within the launch timeout.

        Raises QuotaExceeded for a hub that is full, AlreadyRunning and LaunchFailed.
        """
        deadline = _now() + self._launch_timeout
        await self._admit(deadline)
        await self._request_server(deadline)
        failure = f"Image {self._request.image} for user {self.name} failed to launch"
        told: set[str] = set()
        until = None  # a stream broke off, and by then another must have told how it ended
        try:
            while until is None or _now() < until:
                repeated = frozenset(told)  # a stream begins with everything that was said before it
                path = f"{self._address.api_server}/progress"
                async for event in self._api.events(path, deadline=deadline):
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
        except Gone as error:
            raise LaunchFailed(failure) from error
        raise LaunchFailed(failure)

    async def remove(self) -> None:
        """Ends what `progress` began, however far it came.

        A hub that is gone has taken its sessions with it. Raises LaunchFailed when it does not answer or the
        server does not end in time; the idle culler will then try again.
        """
        try:
            async with asyncio.timeout(_REMOVE_LIMIT):
                while True:
                    if await self._removed():
                        return
                    await asyncio.sleep(_PAUSE)
        except Gone:
            return
        except TimeoutError:
            raise LaunchFailed(f"Session {self.name} could not be removed in {_REMOVE_LIMIT:.0f} s") from None

    @abstractmethod
    async def _admit(self, deadline: float) -> None:
        """Makes sure that the server may be asked for. Raises LaunchFailed or AlreadyRunning."""

    @abstractmethod
    async def _removed(self) -> bool:
        """Takes the next step of the removal; whether it was the last."""

    async def _server_stopped(self) -> bool:
        try:
            stopped = await self._api.ask("DELETE", self._address.api_server)
        except Unavailable:
            return False
        return stopped.status in (204, 404)

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
        self._asked_for = True
        path = self._address.api_start
        reply = await self._api.insist("POST", path, deadline=deadline, failure=failure, body=options)
        if reply.status >= 300:
            self._asked_for = False
            if reply.status == 429:
                raise QuotaExceeded(FULL, "pod_quota")
            raise LaunchFailed(failure)


class TemporarySession(HubSession):
    """A user who exists for this one server."""

    async def _admit(self, deadline: float) -> None:
        failure = f"Failed to create temporary user for {self._request.image}"
        path = self._address.api_user
        reply = await self._api.insist("POST", path, deadline=deadline, failure=failure)
        if reply.status >= 300:
            raise LaunchFailed(failure)

    async def _removed(self) -> bool:
        """Server first: the hub deletes a user whose server is still starting, and would forget that server."""
        if not await self._server_stopped():
            return False
        try:
            deleted = await self._api.ask("DELETE", self._address.api_user)
        except Unavailable:
            return False
        return deleted.status in (204, 404)


class OwnSession(HubSession):
    """A server of somebody who logged in. What ran there before is never touched."""

    def __init__(
        self,
        api: HubApi,
        request: SessionRequest,
        address: Address,
        public_url: str,
        launch_timeout: float,
        *,
        most: int,
    ) -> None:
        """`most` named servers may run for one user; 0 is no limit."""
        super().__init__(api, request, address, public_url, launch_timeout)
        self._most = most

    async def _admit(self, deadline: float) -> None:
        failure = f"Failed to launch image {self._request.image}"
        user = await self._api.insist("GET", self._address.api_user, deadline=deadline, failure=failure)
        servers = user.body.get("servers") if isinstance(user.body, dict) else None
        if user.status != 200 or not isinstance(servers, dict):
            raise LaunchFailed(failure)
        if not self._address.server:
            if _runs(servers.get("")):
                raise AlreadyRunning(f"User {self.name} already has a running server.")
        elif self._most and sum(_runs(server) for name, server in servers.items() if name) >= self._most:
            raise AlreadyRunning(
                f"User {self.name} already has the maximum of {self._most} servers. Stop one of them first."
            )

    async def _request_server(self, deadline: float) -> None:
        """Another launch of the same user may have come first: the hub then answers 400."""
        try:
            await super()._request_server(deadline)
        except LaunchFailed:
            if not self._asked_for:
                await self._admit(deadline)
            raise

    async def _removed(self) -> bool:
        return not self._asked_for or await self._server_stopped()


def _runs(server: Any) -> bool:
    return isinstance(server, dict) and bool(server.get("ready") or server.get("pending"))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _quoted(name: str) -> str:
    return quote(name, safe="@~")
