"""Sessions through JupyterHub's REST API, as BinderHub uses it (port `Hub`); knows no process and no image."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp

from members.adapters.hub_api import Gone, HubApi, Reply, Unavailable
from members.adapters.hub_session import Address, HubSession, OwnSession, TemporarySession
from members.core.model import HealthCheck, LaunchFailed, SessionRequest

_CHECK_LIMIT = 3.0  # seconds, as BinderHub's own health check
_PAGE = 200  # users in one answer of the hub


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
        named_servers: int | None = None,
        request_timeout: float = 10.0,
        attempts: int = 4,
        retry_delay: float = 1.0,
    ) -> None:
        """The URLs end with a slash; `proxied_api_url` is the visitors' way to the API, for health.

        `user_name` makes a new name from a repository URL. A request is tried `attempts` times when the hub
        answers 5xx or not within `request_timeout` seconds, after pauses of `retry_delay` seconds and twice
        as many each time. BinderHub pauses for 4, 8 and 16 seconds; here a federation stands behind, and
        another member may be ready sooner. Somebody who logged in has one server, or any number of named ones
        when `named_servers` is not None: at most so many, 0 for no limit.
        """
        self._api = HubApi(
            http,
            api_url,
            api_token,
            request_timeout=request_timeout,
            attempts=attempts,
            retry_delay=retry_delay,
        )
        self._api_url = api_url
        self._proxied_api_url = proxied_api_url
        self._public_url = public_url
        self._user_name = user_name
        self._launch_timeout = launch_timeout
        self._named_servers = named_servers

    def create(self, request: SessionRequest) -> HubSession:
        """A session of a new name, known to nobody yet: whatever ends its launch, its name can be removed."""
        name = self._user_name(request.repo_url)
        shared = (self._public_url, self._launch_timeout)
        if request.user is None:
            return TemporarySession(self._api, request, Address(name), *shared)
        address = Address(request.user, "" if self._named_servers is None else name)
        return OwnSession(self._api, request, address, *shared, most=self._named_servers or 0)

    async def sessions(self) -> dict[str, int]:
        """Running and pending servers by image."""
        counted: Counter[str] = Counter()
        offset = 0
        while True:
            try:
                reply = await self._api.ask("GET", f"users?state=active&limit={_PAGE}&offset={offset}")
            except (Unavailable, Gone) as error:
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
                asked = (self._api.ask("GET", "health", at=way) for way in ways)
                replies = await asyncio.gather(*asked, return_exceptions=True)
        except TimeoutError:
            replies = [TimeoutError()]
        well = all(isinstance(reply, Reply) and reply.status == 200 for reply in replies)
        return HealthCheck("JupyterHub API", ok=well)


def _images(user: Any) -> list[str]:
    """The image of each of a user's servers, as the hub's API tells them."""
    servers = user.get("servers", {}).values()
    return [str((server.get("user_options") or {}).get("image", "")) for server in servers]
