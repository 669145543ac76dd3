"""`/federation/v1/members/{name}/launch`: one launch on exactly this member, for operators, told as an event stream.

Of the member's events phase and message are passed on, and not the session's address and token: nobody is to use it,
it is asked to end itself. Decides nothing about members.
"""

from __future__ import annotations

import json
from contextlib import aclosing

from aiohttp import web

from federation.core.errors import LaunchError
from federation.core.launchkey import parse_spec, shown
from federation.core.model import Launch, Member
from federation.core.phases import Event, phase_of
from federation.core.rules import Role
from federation.core.told import text
from federation.service.launch_test import MOST, LaunchTests, TooMany
from federation.service.own_launch import Ended
from federation.web import identity
from federation.web.api import answer
from federation.web.decisions import SPEC_EXPECTED, BadParameter
from federation.web.keys import POOL
from federation.web.launch import EVENT_STREAM, STREAMS, write

TESTS = web.AppKey("launch_tests", LaunchTests)
SAME_SITE_ONLY = ("same-origin", "none")  # a page of ours, or an address that somebody typed
HEADERS = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
AGAIN = "10"  # seconds until a place may be free


async def launch_test(request: web.Request) -> web.StreamResponse:
    """Events tell phase and message; the last one, of the type `end`, tells how it ended and the time by phase."""
    try:
        identity.required(request, Role.OPERATOR)
        # It is a GET, as event streams are, and yet does something: no page of another site may ask for it.
        if request.headers.get("Sec-Fetch-Site", SAME_SITE_ONLY[0]) not in SAME_SITE_ONLY:
            raise identity.NotAllowed(403, "A launch is tested from the operators' own page, or with a token")
        member, launch = _member(request), _launch(request)
        if member is None:
            name = text(request.match_info["name"])
            return answer({"status": 404, "message": f"No member is named {name!r}"}, status=404)
        with request.app[TESTS].place():
            return await _told(request, member, launch)
    except identity.NotAllowed as error:
        return error.answer()
    except BadParameter as problem:
        return problem.answer()
    except TooMany:
        message = f"{MOST} launches are being tested already, which is as many as may at a time"
        refusal = answer({"status": 429, "message": message}, status=429)
        refusal.headers["Retry-After"] = AGAIN
        return refusal


def _member(request: web.Request) -> Member | None:
    view = request.app[POOL].view(request.match_info["name"])
    return None if view is None else view.member


def _launch(request: web.Request) -> Launch:
    spec = request.query.get("spec", "")
    try:
        return parse_spec(spec)
    except LaunchError as error:
        raise BadParameter("spec", spec, f"{SPEC_EXPECTED} ({shown(error.message)})") from error


async def _told(request: web.Request, member: Member, launch: Launch) -> web.StreamResponse:
    response = web.StreamResponse(headers=HEADERS)
    try:
        await response.prepare(request)
        async with request.app[STREAMS].scope(), aclosing(request.app[TESTS].run(member, launch)) as told:
            async for one in told:
                await write(request, response, _end(one) if isinstance(one, Ended) else _event(one.event))
        await response.write_eof()
    except ConnectionResetError:
        pass  # the operator left while we wrote
    return response


def _event(event: Event) -> bytes:
    phase, message = phase_of(event), event.get("message")
    if phase == "ready":
        message = "The server runs.\n"  # the member's own words hold its address
    told = {"phase": phase, "message": message if isinstance(message, str) else ""}
    return b"data: " + json.dumps(told).encode() + b"\n\n"


def _end(ended: Ended) -> bytes:
    told = {
        "outcome": ended.outcome.value,
        "cause": ended.verdict.cause,
        "why": text(shown(ended.why)),
        "seconds": round(ended.seconds, 3),
        "phases": [{"phase": phase, "seconds": round(seconds, 3)} for phase, seconds in ended.phases],
    }
    return b"event: end\ndata: " + json.dumps(told).encode() + b"\n\n"


def routes() -> list[web.RouteDef]:
    return [web.get("/federation/v1/members/{name}/launch", launch_test)]
