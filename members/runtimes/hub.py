"""The way to a runtime's own JupyterHub, the same for every runtime that starts one. Knows no session."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from members.adapters.hub_client import HubClient
from members.adapters.hub_process import HubProcess
from members.core.username import SUFFIX_ALPHABET, SUFFIX_LENGTH, user_name
from members.settings import Settings


@asynccontextmanager
async def client_of(hub: HubProcess, settings: Settings) -> AsyncIterator[HubClient]:
    """A client of a hub that runs; it keeps no cookie and ends before the hub does."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield HubClient(
            http=http,
            api_url=hub.api_url,
            proxied_api_url=hub.proxied_api_url,
            api_token=hub.api_token,
            public_url=settings.hub_url,
            user_name=lambda repo_url: user_name(repo_url, _suffix()),
            launch_timeout=settings.sessions.launch_timeout,
        )


async def lost(hub: HubProcess) -> str:
    """Returns when the hub has ended by itself, with the reason."""
    return f"JupyterHub ended by itself with status {await hub.wait()}; see {hub.log_file}"


def _suffix() -> str:
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))
