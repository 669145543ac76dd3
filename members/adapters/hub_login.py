"""JupyterHub as the place where visitors log in (OAuth 2.0, RFC 6749 §4.1); knows no page and no cookie."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from typing import Any
from urllib.parse import urlencode

import aiohttp

from members.core.model import LoginFailed

CLIENT_ID = "service-binder"
_LIMIT = aiohttp.ClientTimeout(total=10.0)
_REMEMBERED = 1024  # API tokens whose owner is known
_REMEMBERED_FOR = 60.0  # seconds; a token that was revoked is good for as long


class HubLogin:
    """One hub's authorization code flow, and the owners of its API tokens."""

    def __init__(
        self, http: aiohttp.ClientSession, *, api_url: str, public_url: str, secret: str, callback_url: str
    ) -> None:
        """`api_url` is the hub's API on the short way, `public_url` the hub for visitors; both end in a slash.

        `secret` is the service's own token and `callback_url` what the hub knows as its redirect URI.
        """
        self._http = http
        self._api_url = api_url
        self._public_url = public_url
        self._secret = secret
        self._callback_url = callback_url
        self._owners: OrderedDict[str, tuple[float, str | None]] = OrderedDict()

    def page(self, state: str) -> str:
        """Where a visitor logs in; they come back to the callback URL with `state` and a code."""
        query = {
            "client_id": CLIENT_ID,
            "redirect_uri": self._callback_url,
            "response_type": "code",
            "state": state,
        }
        return f"{self._public_url}hub/api/oauth2/authorize?{urlencode(query)}"

    async def who(self, code: str) -> str:
        """The name of the visitor who came back with this code. Raises LoginFailed."""
        form = {
            "client_id": CLIENT_ID,
            "client_secret": self._secret,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback_url,
        }
        status, body = await self._ask("POST", "oauth2/token", data=form)
        token = body.get("access_token") if isinstance(body, dict) else None
        if status != 200 or not isinstance(token, str):
            raise LoginFailed("JupyterHub does not know this login. Please try again.")
        name = await self._owner(token)
        if name is None:
            raise LoginFailed("JupyterHub does not say who logged in. Please try again.")
        return name

    async def whose(self, token: str) -> str | None:
        """The user whose API token this is; None for a token that is nobody's. Raises LoginFailed."""
        now = asyncio.get_running_loop().time()
        known = self._owners.get(token)
        if known is not None and now < known[0]:
            return known[1]
        owner = await self._owner(token)
        self._owners[token] = (now + _REMEMBERED_FOR, owner)
        while len(self._owners) > _REMEMBERED:
            self._owners.popitem(last=False)
        return owner

    async def _owner(self, token: str) -> str | None:
        status, body = await self._ask("GET", "user", headers={"Authorization": f"Bearer {token}"})
        if status in (401, 403):
            return None
        if status != 200 or not isinstance(body, dict):
            raise LoginFailed("JupyterHub cannot say who this is right now.")
        name = body.get("name")
        return name if body.get("kind") == "user" and isinstance(name, str) else None

    async def _ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        url = self._api_url + path
        try:
            async with self._http.request(
                method, url, timeout=_LIMIT, allow_redirects=False, **options
            ) as reply:
                return reply.status, json.loads(await reply.text(errors="replace") or "null")
        except ValueError:
            return 0, None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LoginFailed("JupyterHub does not answer. Please try again soon.") from error
