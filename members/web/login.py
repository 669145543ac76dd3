"""Who the visitor is, where that is asked for: a cookie after the hub's login page, or an API token of the hub.

Knows no hub: what it asks is behind `Login`. The cookie names the visitor and is signed; the hub's own token
does not leave this member.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
from aiohttp import web

from members.core.model import LoginFailed
from members.service.ports import Login
from members.web.keys import ABOUT

CALLBACK = "oauth_callback"  # below the base URL, as BinderHub's
_ALGORITHM = "HS256"
_STAY = 12 * 3600  # seconds until a visitor is asked again
_RETURN = 600  # seconds in which a visitor may fill in the hub's login page
_SEEN, _GOING = "binder-visitor", "binder-login"  # cookies
_NONCE = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Visitors:
    """The logins of one member. They end with it: the key that signs the cookies is made at its start."""

    def __init__(self, login: Login, *, secure: bool) -> None:
        """`secure` cookies go over https alone."""
        self._login = login
        self._secure = secure
        self._key = secrets.token_bytes(32)

    async def user(self, request: web.Request) -> str | None:
        """The visitor's name at the hub; None for a stranger. Raises LoginFailed when the hub cannot tell."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() in ("bearer", "token") and token:
            return await self._login.whose(token.strip())
        return self._read(request.cookies.get(_SEEN, ""), "visitor").get("sub")

    def to_login(self, request: web.Request) -> web.Response:
        """To the hub's login page, from where the visitor comes back to the page they wanted."""
        # One for all pages that a browser opens at once: each of them is to find its way back.
        nonce = _nonce(request) or secrets.token_urlsafe(16)
        state = self._signed("login", _RETURN, nonce=nonce, next=_page(request))
        response = web.Response(status=302, headers={"Location": self._login.page(state)})
        self._set(response, request, _GOING, nonce, _RETURN)
        return response

    async def come_back(self, request: web.Request) -> web.Response:
        """The hub sent the visitor here with a code. The browser that began the login must be the one that ends it."""
        state = self._read(request.query.get("state", ""), "login")
        nonce = _nonce(request)
        if not nonce or not secrets.compare_digest(nonce, str(state.get("nonce", ""))):
            return _refused(
                400, "This login was begun elsewhere or too long ago. Please open the page again."
            )
        try:
            name = await self._login.who(request.query.get("code", ""))
        except LoginFailed as error:
            return _refused(502, str(error))
        response = web.Response(status=302, headers={"Location": str(state["next"])})
        self._set(response, request, _SEEN, self._signed("visitor", _STAY, sub=name), _STAY)
        return response

    def _signed(self, purpose: str, lifetime: int, **claims: str) -> str:
        claims |= {"aud": purpose}
        return jwt.encode({**claims, "exp": int(time.time()) + lifetime}, self._key, algorithm=_ALGORITHM)

    def _read(self, token: str, purpose: str) -> dict[str, Any]:
        """The claims of a token of ours; none of any other."""
        try:
            claims = jwt.decode(
                token, self._key, algorithms=[_ALGORITHM], audience=purpose, options={"require": ["exp"]}
            )
        except (jwt.InvalidTokenError, ValueError):
            return {}
        return dict(claims)

    def _set(
        self, response: web.Response, request: web.Request, name: str, value: str, lifetime: int
    ) -> None:
        response.set_cookie(
            name,
            value,
            path=request.app[ABOUT].base_url,
            max_age=lifetime,
            httponly=True,
            samesite="Lax",
            secure=self._secure,
        )


VISITORS = web.AppKey("visitors", Visitors)  # absent where nobody is asked who they are


def for_users(page: Handler) -> Handler:
    """The page, to which strangers come by the login, where there is one."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        visitors = request.app.get(VISITORS)
        if visitors is None:
            return await page(request)
        try:
            user = await visitors.user(request)
        except LoginFailed as error:
            return _refused(502, str(error))
        return visitors.to_login(request) if user is None else await page(request)

    return guarded


def _nonce(request: web.Request) -> str:
    """What this browser's logins are known by; empty when none is under way."""
    nonce = request.cookies.get(_GOING, "")
    return nonce if _NONCE.fullmatch(nonce) else ""


def _page(request: web.Request) -> str:
    """Path and query of the page, which no browser reads as the address of another site."""
    return "/" + request.rel_url.raw_path_qs.lstrip("/\\")


def _refused(status: int, message: str) -> web.Response:
    return web.Response(status=status, text=message + "\n")
