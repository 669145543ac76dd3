"""Who asks: operators and viewers by their tokens, or by the session that one of these began. Changes nothing.

A token comes in `Authorization: Bearer …`, from programs. People hand theirs in once, on the operators' page, and get
a cookie for it, which no script can read and no other site can send. A session is in the memory of this process: it
ends with the token, after a while without use, and with the process.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from federation.core.operatortoken import digest
from federation.core.rules import Operator, Role
from federation.web.keys import CLOCK, RUNNING
from federation.web.private import private

COOKIE = "federation-operator"
IDLE = 12 * 3600.0  # seconds without a request until a session is over
MOST_SESSIONS = 1000
SAFE = ("GET", "HEAD", "OPTIONS")


class NotAllowed(Exception):
    """`status` is 401 for nobody known, 403 for somebody who may not; the text is for who asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def answer(self) -> web.Response:
        response = private({"status": self.status, "message": str(self)}, status=self.status)
        if self.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="operators"'
        return response


@dataclass(slots=True)
class _Session:
    digest: str
    used: float


class Sessions:
    """Those who handed their token in. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}

    def begin(self, token: str, now: float) -> str:
        """The key of a new session, for its cookie. The token itself is not kept."""
        self._sessions = {key: one for key, one in self._sessions.items() if 0 <= now - one.used < IDLE}
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].used)]
        key = secrets.token_urlsafe(32)
        self._sessions[digest(key)] = _Session(digest(token), now)
        return key

    def token(self, key: str, now: float) -> str:
        """The digest of the session's token; empty when there is no such session."""
        session = self._sessions.get(
            digest(key)
        )  # how long that takes tells nothing of the keys that there are
        if session is None or not 0 <= now - session.used < IDLE:
            return ""
        session.used = now
        return session.digest

    def end(self, key: str) -> None:
        self._sessions.pop(digest(key), None)


SESSIONS = web.AppKey("sessions", Sessions)


def holder(operators: Iterable[Operator], told: str) -> Operator | None:
    """The operator with a token of this digest. All are compared, each in constant time."""
    found = None
    for operator in operators:
        for known in operator.digests:
            if hmac.compare_digest(known.encode(), told.encode()) and told:
                found = operator
    return found


def known(request: web.Request, token: str) -> Operator | None:
    """Whose token this is."""
    return holder(request.app[RUNNING].settings.operators, digest(token))


def identify(request: web.Request) -> Operator | None:
    """Who asks, None for the public."""
    operators = request.app[RUNNING].settings.operators
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return holder(operators, digest(token.strip()))
    key = request.cookies.get(COOKIE, "")
    if not key or not from_here(request):
        return None
    return holder(operators, request.app[SESSIONS].token(key, request.app[CLOCK].now()))


def required(request: web.Request, role: Role) -> Operator:
    """Who asks, who must have this role. Raises `NotAllowed`."""
    operator = identify(request)
    if operator is None:
        raise NotAllowed(401, "This needs an operator's token: Authorization: Bearer …")
    if role is Role.OPERATOR and operator.role is not Role.OPERATOR:
        raise NotAllowed(403, f"{operator.name} may look, and change nothing: role {operator.role.value}")
    return operator


def from_here(request: web.Request) -> bool:
    """Whether a request is a page's of ours, as one with a cookie must be: a change by another site's page is not."""
    if request.method in SAFE:
        return True
    origin = request.headers.get("Origin", "")
    return origin.partition("://")[2] == request.host
