"""Build tokens of the front door's own pages: made for a page, known again at its launch, renewed for members.

Decides nothing. Without a secret in the configuration none are made, and those of others travel on untouched.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote_plus, urlsplit

import jwt
from aiohttp import web
from jwt.types import Options

from federation.core import buildtoken
from federation.core.model import Launch
from federation.core.rules import BuildTokenRules
from federation.service.ports import Visitor
from federation.web.api import CLOCK
from federation.web.house import public_base
from federation.web.keys import RUNNING

PARAMETER = "build_token"
LONGEST = 4096  # characters of a token that are looked at
_ALGORITHM = "HS256"
_SIGNATURE_ONLY: Options = {
    "verify_exp": False,
    "verify_aud": False,
    "verify_iat": False,
    "verify_nbf": False,
}


def page_token(request: web.Request, launch: Launch) -> str | None:
    """A token for the page of this launch, good for launches from our own address; None without a secret."""
    rules = request.app[RUNNING].settings.build_tokens
    if rules.secret is None:
        return None
    return _mint(rules.secret, rules, launch, urlsplit(public_base(request)).netloc, request.app[CLOCK].now())


def recognise(request: web.Request, launch: Launch, visitor: Visitor) -> tuple[Launch, Visitor]:
    """The launch without its token, and its visitor with it: vouched for if it is one of ours that holds."""
    token, query = _take(launch.query)
    launch = replace(launch, query=query)
    secret = request.app[RUNNING].settings.build_tokens.secret
    if secret is None or not 0 < len(token) <= LONGEST:
        return launch, replace(visitor, build_token=token)
    try:
        told = jwt.decode(unquote_plus(token), secret, [_ALGORITHM], options=_SIGNATURE_ONLY)
    except (jwt.InvalidTokenError, ValueError):
        return launch, replace(visitor, build_token=token)
    holds = buildtoken.holds(told, _audience(launch), _origin(visitor), request.app[CLOCK].now())
    return launch, replace(visitor, build_token=token, vouched=holds)


def for_member(rules: BuildTokenRules, launch: Launch, visitor: Visitor, now: float) -> str:
    """The token to send a member with this launch; empty for none.

    A visitor whom the front door vouches for gets a fresh one for each member: a build may outlast the token
    of the page. Any other token is passed on as it came, for the member to judge.
    """
    if rules.secret is None or not visitor.vouched:
        return visitor.build_token
    return _mint(rules.secret, rules, launch, _origin(visitor), now)


def _mint(secret: bytes, rules: BuildTokenRules, launch: Launch, origin: str, now: float) -> str:
    return jwt.encode(buildtoken.claims(_audience(launch), origin, now, rules.lifetime), secret, _ALGORITHM)


def _audience(launch: Launch) -> str:
    return f"{launch.provider}/{launch.spec}"


def _origin(visitor: Visitor) -> str:
    return buildtoken.origin_of(visitor.origin, visitor.host)


def _take(raw_query: str) -> tuple[str, str]:
    """The first token in a raw query, as it is written there, and the query without any."""
    pairs = [pair.partition("=") for pair in raw_query.split("&")] if raw_query else []
    tokens = [value for name, _, value in pairs if name == PARAMETER]
    rest = "&".join("".join(pair) for pair in pairs if pair[0] != PARAMETER)
    return (tokens[0] if tokens else ""), rest
