"""Where operators set what a member gets, and read who set what. Knows no store.

Two operators who edit at once: each says with `If-Match` which state the edit is for, and the second is refused. Other
sites' pages are let at none of it: a browser that asks first is told that only reading one member is for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from typing import Any

import orjson
from aiohttp import ETag, hdrs, web
from multidict import MultiMapping

from federation.core.audit import change_told
from federation.core.rules import Role
from federation.core.steering import LASTING, Drain, Edit, Undrain, Unweigh, Weigh
from federation.service.steering import ChangedMeanwhile, NoSuchMember, Signature
from federation.web.api import CLOCK, STEERING, answer, for_whom, members_document
from federation.web.cors import open_to_all
from federation.web.decisions import BadParameter, once, whole
from federation.web.identity import NotAllowed, identify, required
from federation.web.keys import POOL
from federation.web.private import private

LARGEST_WEIGHT = 1e9
LONGEST = 500  # characters of a reason, or of a name
FURTHEST = 366 * 86400.0  # seconds until the end of what is set
MOST, USUAL = 200, 50  # changes in one answer
PATIENCE = 10.0  # seconds for a body
KEYS = ("weight", "state", "reason", "until", "by")
STATES: Mapping[str, Edit] = {"drained": Drain(), "active": Undrain()}
_LARGEST = 2**53  # whole in JavaScript too


async def member(request: web.Request) -> web.Response:
    """One member, with the tag of what is set for it."""
    told = _told(request, named=identify(request) is not None)
    if told is None:
        return answer(_nobody(request), status=404)
    return _tagged(request, for_whom(request, answer(told)))


async def steer(request: web.Request) -> web.Response:
    """Sets what the body says, if nobody has set anything else since the state that `If-Match` names."""
    try:
        operator = required(request, Role.OPERATOR)
        if _told(request, named=True) is None:
            return private(_nobody(request), status=404)
        if hdrs.IF_MATCH not in request.headers:
            return _refused(428, "If-Match is missing: the ETag of the state that the edit is for, or *")
        edits, signature = _wish(await _body(request), operator.name, request.app[CLOCK].now())
        known = _known(request)
        await request.app[STEERING].steer(request.match_info["name"], edits, signature, known)
    except NotAllowed as problem:
        return problem.answer()
    except BadParameter as problem:
        return private(problem.told(), status=400)
    except NoSuchMember:
        return private(_nobody(request), status=404)
    except ChangedMeanwhile:
        return _tagged(request, _refused(412, "Somebody has changed this member meanwhile: read it again"))
    except OSError:
        return _refused(503, "The change could not be kept, so nothing is changed: the log says why")
    return _tagged(request, private(_told(request, named=True)))


async def audit(request: web.Request) -> web.Response:
    """Who changed what, newest first."""
    try:
        required(request, Role.VIEWER)
        before, limit = _page(request.query)
        page = await request.app[STEERING].audit(before, limit)
    except NotAllowed as problem:
        return problem.answer()
    except BadParameter as problem:
        return private(problem.told(), status=400)
    except OSError:
        return _refused(503, "The audit cannot be read: the log says why")
    return private({"entries": [change_told(change) for change in page.changes], "next": page.next})


async def audit_options(request: web.Request) -> web.Response:
    return web.Response(status=204, headers={"Allow": "GET, HEAD, OPTIONS"})


def _told(request: web.Request, *, named: bool) -> dict[str, Any] | None:
    """The member of the address, None when there is none."""
    name = request.match_info["name"]
    told = members_document(request.app, named=named)["members"]
    return next((one for one in told if one["name"] == name), None)


def _nobody(request: web.Request) -> dict[str, Any]:
    name = request.match_info["name"][:100]
    known = ", ".join(view.member.name for view in request.app[POOL].views())
    expected = f"one of {known}" if known else "no member, as there is none"
    return {**BadParameter("name", name, expected).told(), "status": 404}


def _refused(status: int, message: str) -> web.Response:
    return private({"status": status, "message": message}, status=status)


def _tagged(request: web.Request, response: web.Response) -> web.Response:
    with suppress(NoSuchMember):  # it has left the configuration meanwhile
        response.etag = ETag(request.app[STEERING].tag(request.match_info["name"]))
    return response


def _known(request: web.Request) -> frozenset[str] | None:
    """The tags that the edit is for; None: whatever is set."""
    tags = [tag for tag in request.if_match or () if not tag.is_weak]
    return None if any(tag.value == "*" for tag in tags) else frozenset(tag.value for tag in tags)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        async with asyncio.timeout(PATIENCE):
            told = orjson.loads(await request.read())
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason="The body did not come") from None
    except orjson.JSONDecodeError as error:
        raise BadParameter("body", str(error), "a JSON object") from None
    if not isinstance(told, dict):
        raise BadParameter("body", _shown(told), "a JSON object")
    for key in told:
        if key not in KEYS:
            raise BadParameter(key[:100], _shown(told[key]), f"only the keys {', '.join(KEYS)}")
    return told


def _wish(told: Mapping[str, Any], who: str, now: float) -> tuple[tuple[Edit, ...], Signature]:
    edits: list[Edit] = []
    if "weight" in told:
        edits.append(_weight(told["weight"]))
    if "state" in told:
        edits.append(_state(told["state"]))
    if not edits:
        raise BadParameter("body", _shown(told), "a weight or a state to set")
    until = _until(told.get("until"), now)
    if until is not None and not any(isinstance(edit, LASTING) for edit in edits):
        raise BadParameter("until", _shown(until), "null where nothing is set that could end")
    return tuple(edits), Signature(who, _text(told, "by"), _text(told, "reason"), until)


def _weight(value: Any) -> Edit:
    if value is None:
        return Unweigh()
    if not _is_number(value) or not 0 <= value <= LARGEST_WEIGHT:
        raise BadParameter("weight", _shown(value), f"a number from 0 to {LARGEST_WEIGHT:.0f}, or null")
    return Weigh(float(value))


def _state(value: Any) -> Edit:
    edit = STATES.get(value) if isinstance(value, str) else None
    if edit is None:
        raise BadParameter("state", _shown(value), f"one of {', '.join(STATES)}")
    return edit


def _until(value: Any, now: float) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not now < value <= now + FURTHEST:
        expected = f"null, or seconds since the epoch after now, which is {now:.0f}, and within a year"
        raise BadParameter("until", _shown(value), expected)
    return float(value)


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key, "")
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise BadParameter(key, _shown(value), f"a text of at most {LONGEST} characters on one line")
    return value.strip()


def _page(query: MultiMapping[str]) -> tuple[int | None, int]:
    once(query)
    for key in query:
        if key not in ("before", "limit"):
            raise BadParameter(key[:100], query[key], "one of the parameters before, limit")
    before = whole(query, "before", _LARGEST) if query.get("before") else None
    return before, whole(query, "limit", MOST) if query.get("limit") else USUAL


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _shown(value: Any) -> str:
    return repr(value)[:100]


def routes() -> list[web.RouteDef]:
    one, all = "/federation/v1/members/{name}", "/federation/v1/audit"
    return [
        *open_to_all(one, member),
        web.patch(one, steer),
        web.get(all, audit),
        web.options(all, audit_options),
    ]
