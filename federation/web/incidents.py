"""The incidents, as programs and the status page tell of them. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from federation.core.incident import Cause, Incident
from federation.core.incidents_kept import told
from federation.core.told import text
from federation.service.incidents import Incidents
from federation.web.api import CLOCK, answer
from federation.web.cors import CORS, open_to_all
from federation.web.decisions import BadParameter, once
from federation.web.house import public_base
from federation.web.incident_report import report
from federation.web.words import age, iso, moment, number_of

INCIDENTS = web.AppKey("incidents", Incidents)

MOST = 200  # incidents in one answer
USUAL = 50
STATES = ("open", "closed")
PARAMETERS = ("state", "limit", "before")

# Cause: words for people.
CAUSES: Mapping[Cause, str] = {
    Cause.MEMBER: "a member",
    Cause.REGISTRY: "the image registry",
    Cause.GIT_HOST: "a git host",
    Cause.CAPACITY: "too few seats",
    Cause.FRONT_DOOR: "the front door or its network",
    Cause.UNKNOWN: "not known",
}


async def incidents(request: web.Request) -> web.Response:
    """Incidents, the latest first; `next` is the `before` of the question that goes on."""
    try:
        state, limit, before = _asked(request.query)
        found = request.app[INCIDENTS].all()
        if before:
            found = _after(found, before)
    except BadParameter as problem:
        return problem.answer()
    if state:
        found = tuple(one for one in found if (one.closed is None) == (state == "open"))
    shown, more = found[:limit], len(found) > limit
    return answer({"incidents": [told(one) for one in shown], "next": shown[-1].id if more else None})


async def incident(request: web.Request) -> web.Response:
    """One incident, with its report as `markdown`."""
    one = _found(request)
    return _missing(request) if one is None else answer({**told(one), "markdown": _report(request, one)})


async def incident_report(request: web.Request) -> web.Response:
    """What is known of it, in Markdown, with places for what only people know."""
    one = _found(request)
    if one is None:
        return _missing(request)
    headers = {**CORS, "Cache-Control": "no-cache"}
    words = _report(request, one)
    return web.Response(text=words, content_type="text/markdown", charset="utf-8", headers=headers)


def row(one: Incident, now: float) -> dict[str, Any]:
    """An incident for the page."""
    until = now if one.closed is None else one.closed
    return {
        "id": one.id,
        "title": one.title,
        "open": one.closed is None,
        "began_iso": iso(one.began),
        "began": moment(one.began),
        "lasted": age(until - one.began),
        "cause": CAUSES[one.cause],
        "launches": launches(one),
        "left_out": one.left_out,
        "timeline": [{"iso": iso(note.at), "at": moment(note.at), "text": note.text} for note in one.story],
        "report": told(one)["report"],
    }


def launches(one: Incident) -> str:
    """How many launches met it, and what became of them."""
    if not one.affected:
        return "No launch was seen to meet it."
    met = f"{number_of(one.affected, 'launch', 'launches')} met it"
    return f"{met}, and {one.failed or 'none'} failed for {'its visitor' if one.affected == 1 else 'their visitors'}."


def _asked(query: MultiMapping[str]) -> tuple[str, int, str]:
    once(query)
    for key, value in query.items():
        if key not in PARAMETERS:
            raise BadParameter(text(key), value, f"one of the parameters {', '.join(PARAMETERS)}")
    state, limit = query.get("state", ""), query.get("limit", "")
    if state and state not in STATES:
        raise BadParameter("state", state, f"one of {', '.join(STATES)}")
    usable = limit.isascii() and limit.isdigit() and len(limit) <= len(str(MOST))
    if limit and not (usable and 1 <= int(limit) <= MOST):
        raise BadParameter("limit", limit, f"a whole number from 1 to {MOST}")
    return state, int(limit) if limit else USUAL, query.get("before", "")


def _after(found: tuple[Incident, ...], before: str) -> tuple[Incident, ...]:
    for index, one in enumerate(found):
        if one.id == before:
            return found[index + 1 :]
    raise BadParameter("before", before, "the id of an incident that is remembered")


def _found(request: web.Request) -> Incident | None:
    return request.app[INCIDENTS].find(request.match_info["id"])


def _report(request: web.Request, one: Incident) -> str:
    return report(one, request.app[CLOCK].now(), public_base(request), CAUSES[one.cause])


def _missing(request: web.Request) -> web.Response:
    id = text(request.match_info["id"])
    message = f"id: no incident {id!r} is remembered, expected one of /federation/v1/incidents"
    return answer({"status": 404, "message": message, "key": "id", "value": id}, status=404)


def routes() -> list[web.RouteDef]:
    return [
        *open_to_all("/federation/v1/incidents", incidents),
        *open_to_all("/federation/v1/incidents/{id}", incident),
        *open_to_all("/federation/v1/incidents/{id}/report", incident_report),
    ]
