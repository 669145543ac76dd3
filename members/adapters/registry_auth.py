"""How a registry lets us in: nothing, basic, or bearer tokens kept until they expire. Knows no image and no retry."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from weakref import WeakValueDictionary

import aiohttp

from members.adapters.registry_ask import Reply, ask
from members.adapters.registry_challenge import challenges
from members.adapters.registry_logins import IDENTITY
from members.core.model import Credentials, RegistryDown, RegistryState

Login = Callable[[], Awaitable[Credentials | None]]

_CLIENT = "binder-federation"  # how we call ourselves where a token server wants a name
_LIFETIME = (
    60.0  # seconds that a token is good for when its server does not say: the token specification's figure
)
_LONGEST_LIFE = 3600.0
_USED = 0.8  # of a token's life: the rest is for clocks that differ and questions under way


@dataclass(frozen=True, slots=True)
class _Bearer:
    """Where tokens come from."""

    realm: str
    service: str | None


class Auth:
    """The value of the Authorization header for each scope, of one registry. Its state is what was learned so far."""

    def __init__(
        self, http: aiohttp.ClientSession, login: Login, *, token_url: str | None, secure: bool, limit: float
    ) -> None:
        """`token_url` overrules the registry's own word; `secure` refuses to send credentials in clear."""
        self._http = http
        self._login = login
        self._secure = secure
        self._limit = limit
        self._token_url = token_url
        self._bearer = _Bearer(token_url, None) if token_url else None
        self._basic = False
        self._tokens: dict[str, tuple[float, str]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def header(self, scope: str) -> str | None:
        """What to send at once; None while the registry has not asked for anything."""
        if self._bearer is not None:
            return f"Bearer {await self._token(self._bearer, scope, scope)}"
        return await self._basic_header() if self._basic else None

    async def answer(self, wanted: Sequence[str], scope: str, refused: str | None) -> str | None:
        """What to send instead of `refused`, which brought a 401; None when there is nothing better."""
        by_scheme = {challenge.scheme: challenge.parameters for challenge in reversed(challenges(wanted))}
        if self._token_url is not None:
            by_scheme = {"bearer": {**by_scheme.get("bearer", {}), "realm": self._token_url}}
        if (parameters := by_scheme.get("bearer")) is not None and parameters.get("realm"):
            self._bearer = _Bearer(parameters["realm"], parameters.get("service"))
            self._forget(scope, refused)
            token = await self._token(self._bearer, scope, parameters.get("scope") or scope)
            better: str | None = f"Bearer {token}"
        elif "basic" in by_scheme:
            self._bearer, self._basic = None, True
            better = await self._basic_header()
        else:
            return None
        return None if better == refused else better

    def _forget(self, scope: str, refused: str | None) -> None:
        """Only the token that was refused: another question may have fetched a better one meanwhile."""
        kept = self._tokens.get(scope)
        if kept is not None and f"Bearer {kept[1]}" == refused:
            del self._tokens[scope]

    async def _basic_header(self) -> str | None:
        login = await self._login()
        return None if login is None else _basic(login)

    async def _token(self, bearer: _Bearer, scope: str, wanted: str) -> str:
        """The token kept for `scope`, or a new one for the scope that the registry `wanted`; one fetch at a time."""
        lock = self._locks.setdefault(scope, asyncio.Lock())
        async with lock:
            now = asyncio.get_running_loop().time()
            kept = self._tokens.get(scope)
            if kept is None or kept[0] <= now:
                token, lifetime = await self._fetch(bearer, wanted)
                self._tokens = {key: old for key, old in self._tokens.items() if old[0] > now}
                self._tokens[scope] = kept = now + _USED * lifetime, token
            return kept[1]

    async def _fetch(self, bearer: _Bearer, scope: str) -> tuple[str, float]:
        login = await self._login()
        parts = urlsplit(bearer.realm)
        allowed = (
            ("https",) if self._secure and login is not None and not self._token_url else ("http", "https")
        )
        if parts.scheme not in allowed or not parts.netloc:
            raise RegistryDown(
                f"the registry wants tokens from {bearer.realm!r}: expected a URL with {' or '.join(allowed)}",
                RegistryState.DENIED,
            )
        asked = dict(parse_qsl(parts.query))
        asked |= {"service": bearer.service} if bearer.service else {}
        asked |= {"scope": scope} if scope else {}
        plain = urlunsplit(parts._replace(query="", fragment=""))
        if login is not None and login.username == IDENTITY:
            asked |= {
                "grant_type": "refresh_token",
                "refresh_token": login.password,
                "client_id": _CLIENT,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            body = urlencode(asked).encode()
            reply = await ask(self._http, "POST", plain, headers=headers, limit=self._limit, data=body)
        else:
            asked |= {"client_id": _CLIENT}
            headers = {} if login is None else {"Authorization": _basic(login)}
            url = f"{plain}?{urlencode(asked)}"
            reply = await ask(self._http, "GET", url, headers=headers, limit=self._limit)
        return token_of(reply, "no credentials" if login is None else f"the credentials of {login.username}")


def token_of(reply: Reply, shown: str) -> tuple[str, float]:
    """Token and seconds it lives, from a token server's answer; `shown` says what it was asked with."""
    where = reply.url.partition("?")[0]
    if reply.status in (401, 403):
        raise RegistryDown(
            f"{where} gives no token for {shown} (status {reply.status})", RegistryState.DENIED
        )
    answer = None
    if reply.status == 200:
        try:
            answer = json.loads(reply.body)
        except ValueError:
            answer = None
    token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, Mapping) else None
    if (
        not isinstance(answer, Mapping)
        or not isinstance(token, str)
        or not token.isascii()
        or not token.isprintable()
    ):
        raise RegistryDown(
            f"{where} answered something else than a token (status {reply.status})", RegistryState.FAILING
        )
    lifetime = answer.get("expires_in")
    if not isinstance(lifetime, (int, float)) or lifetime <= 0:
        lifetime = _LIFETIME
    return token, min(float(lifetime), _LONGEST_LIFE)


def _basic(login: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
