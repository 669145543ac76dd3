"""Build tokens on the wire: signed and read, made for pages and asked of launches. Decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from aiohttp import web
from jwt.types import Options

from members.core import buildtoken
from members.core.buildtoken import Standing

_ALGORITHM = "HS256"
_SIGNATURE_ONLY: Options = {
    "verify_exp": False,
    "verify_aud": False,
    "verify_iat": False,
    "verify_nbf": False,
}
_LONGEST = 4096  # characters of a token that are looked at


class BuildTokens:
    """All tokens of one secret, which every member and the front door of a federation share."""

    def __init__(
        self,
        secret: bytes,
        *,
        lifetime: float = 300.0,
        check_origin: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`lifetime` in seconds from the page to the launch; `now` tells seconds since the epoch."""
        self._secret = secret
        self._lifetime = lifetime
        self._check_origin = check_origin
        self._now = now

    def mint(self, request: web.Request, audience: str) -> str:
        """A token for the page that this request is answered with, good for a launch of `audience`."""
        origin = _origin(request) or request.host.lower()
        told = buildtoken.claims(audience, origin, self._now(), self._lifetime)
        return jwt.encode(told, self._secret, _ALGORITHM)

    def standing(self, request: web.Request, token: str, audience: str) -> Standing:
        """What the token is worth for a launch of `audience` by this request."""
        return buildtoken.standing(
            self._read(token), audience, _origin(request), self._now(), check_origin=self._check_origin
        )

    def _read(self, token: str) -> Mapping[str, Any] | None:
        if len(token) > _LONGEST:
            return None
        try:
            # Time and audience are the core's to judge: with its own clock and the spec as it came.
            return jwt.decode(token, self._secret, [_ALGORITHM], options=_SIGNATURE_ONLY)
        except (jwt.InvalidTokenError, ValueError):
            return None


def _origin(request: web.Request) -> str | None:
    return buildtoken.origin_of(request.headers.get("Origin"), request.host)
