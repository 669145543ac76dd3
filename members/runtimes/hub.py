"""The way to a runtime's own JupyterHub, the same for every runtime that starts one. Knows no session."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from members.adapters.hub_client import HubClient
from members.adapters.hub_login import HubLogin
from members.adapters.hub_parameters import Accounts
from members.adapters.hub_process import HubProcess
from members.core.username import SUFFIX_ALPHABET, SUFFIX_LENGTH, user_name
from members.settings import Settings
from members.web.login import CALLBACK


@dataclass(frozen=True, slots=True)
class Access:
    """What the member does at its hub: sessions, and logins where visitors log in."""

    client: HubClient
    login: HubLogin | None


@asynccontextmanager
async def access_to(hub: HubProcess, settings: Settings) -> AsyncIterator[Access]:
    """The ways to a hub that runs; they keep no cookie and end before the hub does."""
    accounts = accounts_of(settings)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        client = HubClient(
            http=http,
            api_url=hub.api_url,
            proxied_api_url=hub.proxied_api_url,
            api_token=hub.api_token,
            public_url=settings.hub_url,
            user_name=lambda repo_url: user_name(repo_url, _suffix()),
            launch_timeout=settings.sessions.launch_timeout,
            named_servers=settings.auth.named_servers,
        )
        login = None if accounts is None else _login(http, hub, settings, accounts.callback_url)
        yield Access(client, login)


def _login(http: aiohttp.ClientSession, hub: HubProcess, settings: Settings, callback_url: str) -> HubLogin:
    return HubLogin(
        http,
        api_url=hub.api_url,
        public_url=settings.hub_url,
        secret=hub.api_token,
        callback_url=callback_url,
    )


def accounts_of(settings: Settings) -> Accounts | None:
    """How visitors log in at the hub, if they do."""
    auth = settings.auth
    if not auth.enabled or auth.authenticator is None:
        return None
    callback_url = f"{auth.url or settings.url}{CALLBACK}"
    return Accounts(auth.authenticator, auth.config, callback_url, auth.named_servers)


async def lost(hub: HubProcess) -> str:
    """Returns when the hub has ended by itself, with the reason."""
    return f"JupyterHub ended by itself with status {await hub.wait()}; see {hub.log_file}"


def _suffix() -> str:
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))
