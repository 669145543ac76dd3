"""The operators' console: the page, and how people log in to it and out again. Shows nothing itself and changes no
member: its scripts ask the HTTP API, which anybody with a token may ask as well.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from urllib.parse import urlsplit

from aiohttp import web

from federation.core.rules import Role
from federation.web.api import CLOCK
from federation.web.assets import assets
from federation.web.decisions import OUTCOMES
from federation.web.house import page
from federation.web.identity import COOKIE, SESSIONS, from_here, identify, known
from federation.web.keys import POOL, RUNNING
from federation.web.status import BLIND, FULL, WORDS

HERE = "/operator"
LONGEST = 1024  # characters of a token that are looked at
FIRST, LONGEST_WAIT = 0.25, 4.0  # seconds until the answer to a wrong token; each further one doubles it
FORGET = 300.0  # seconds without a wrong token until an address begins anew
ADDRESSES = 1000  # that are remembered
AT_ONCE = 20  # wrong tokens that wait for their answer, over all addresses
NOT_KNOWN = "That token is not known here. It may have been replaced, or part of it is missing."
TOO_MANY = "Too many wrong tokens come in just now. Try again in some seconds."
ELSEWHERE = "Another site's page cannot log in here. Open this page itself."


class WrongTokens:
    """Slows guessing down, whoever guesses; a right token is never kept waiting or refused, whatever others do.

    Tokens are 256 random bits, which nobody guesses at any speed: this spares the log and the processor.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self.waiting = 0

    def pause(self, address: str, now: float) -> float:
        """Seconds to wait with the answer to one more wrong token from this address."""
        count, at = self._counts.pop(address, (0, now))
        if not 0 <= now - at < FORGET:
            count = 0
        self._counts[address] = (count + 1, now)
        if len(self._counts) > ADDRESSES:
            self._counts.popitem(last=False)
        return float(min(LONGEST_WAIT, FIRST * 2 ** min(count, 10)))


WRONG = web.AppKey("wrong_tokens", WrongTokens)


async def console(request: web.Request) -> web.Response:
    """The console for operators and viewers, the form for everybody else."""
    operator = identify(request)
    if operator is None:
        return _form(request)
    return page(
        request,
        "operator.html",
        kept=False,
        name=operator.name,
        may_change=operator.role is Role.OPERATOR,
        words={
            "states": {state.value: told for state, told in WORDS.items()},
            "full": FULL,
            "blind": BLIND[2],
        },
        members=[view.member.name for view in request.app[POOL].views()],
        outcomes=OUTCOMES,
        charts="uplot.js" in assets().files,
    )


async def login(request: web.Request) -> web.Response:
    """Takes a token from the form and gives a session's cookie for it. The token itself appears nowhere."""
    if not from_here(request):
        return _form(request, ELSEWHERE, status=403)
    told = (await request.post()).get("token", "")
    token = told.strip() if isinstance(told, str) else ""
    now = request.app[CLOCK].now()
    if len(token) > LONGEST or known(request, token) is None:
        return await _refused(request, now)
    answer = web.Response(status=303, headers={"Location": HERE, "Cache-Control": "no-store"})
    key = request.app[SESSIONS].begin(token, now)
    answer.set_cookie(COOKIE, key, path="/", httponly=True, samesite="Strict", secure=_over_https(request))
    return answer


async def _refused(request: web.Request, now: float) -> web.Response:
    wrong = request.app[WRONG]
    pause = wrong.pause(request.remote or "", now)
    if wrong.waiting >= AT_ONCE:
        return _form(request, TOO_MANY, status=429)
    wrong.waiting += 1
    try:
        await asyncio.sleep(pause)
    finally:
        wrong.waiting -= 1
    return _form(request, NOT_KNOWN, status=401)


async def logout(request: web.Request) -> web.Response:
    if not from_here(request):
        return _form(request, ELSEWHERE, status=403)
    request.app[SESSIONS].end(request.cookies.get(COOKIE, ""))
    answer = web.Response(status=303, headers={"Location": HERE, "Cache-Control": "no-store"})
    answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=_over_https(request))
    return answer


def _form(request: web.Request, problem: str = "", *, status: int = 200) -> web.Response:
    nobody = not request.app[RUNNING].settings.operators
    return page(request, "login.html", status=status, kept=False, here=HERE, problem=problem, nobody=nobody)


def _over_https(request: web.Request) -> bool:
    """Whether the browser came by https, also when a proxy that is not listed took that off."""
    public = urlsplit(request.app[RUNNING].settings.public_url or "")
    return request.scheme == "https" or (public.scheme == "https" and public.netloc == request.host)


def routes() -> list[web.RouteDef]:
    return [
        web.get(HERE, console),
        web.post(f"{HERE}/login", login),
        web.post(f"{HERE}/logout", logout),
    ]
