"""What programs may ask of the front door: who is there and how it stands.

Shapes of BinderHub and of mybinder.org's federation-redirect where they have one. Changes nothing.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from federation.core.audit import told as set_by_operators
from federation.core.decisions import evidence
from federation.core.lately import Lately
from federation.core.model import MemberView
from federation.core.shares import actual, expected
from federation.service.lately import SPAN, RecentLaunches
from federation.service.shares import RecentChoices
from federation.service.steering import Steering
from federation.web.cors import CORS, open_to_all
from federation.web.identity import identify
from federation.web.keys import CLOCK as CLOCK
from federation.web.keys import POOL
from federation.web.private import encoded

CHOICES = web.AppKey("choices", RecentChoices)
LATELY = web.AppKey("lately", RecentLaunches)
STEERING = web.AppKey("steering", Steering)
VERSION = web.AppKey("version", str)


def answer(told: Any, *, status: int = 200) -> web.Response:
    headers = {**CORS, "Cache-Control": "no-cache"}
    return web.Response(body=encoded(told), status=status, content_type="application/json", headers=headers)


async def active_hosts(request: web.Request) -> web.Response:
    """The members that take launches now, as federation-redirect lists them."""
    hosts = {
        view.member.name: {
            "url": view.member.url,
            "weight": view.member.weight,
            "health": view.member.address(view.member.health_path),
            "versions": view.member.address(view.member.versions_path),
        }
        for view in request.app[POOL].views()
        if view.refusal is None
    }
    return answer({"active_hosts": hosts})


async def health(request: web.Request) -> web.Response:
    """BinderHub's shape: 503 only when no member can take a launch; one member alone decides nothing. A front door
    that sees no member goes on by its last good view, and is as well as that."""
    pool = request.app[POOL]
    checks = []
    for view in pool.views():
        reason = view.refusal
        told = {"service": view.member.name, "ok": reason is None, "_ignore_failure": True}
        checks.append(told if reason is None else {**told, "reason": reason})
    ok = any(check["ok"] for check in checks)
    if pool.blind_since is not None:
        checks.append({"service": "Own view", "ok": False, "_ignore_failure": True})
    body = {"ok": ok, "checks": [{"service": "Members", "ok": ok}, *checks]}
    return answer(body, status=200 if ok else 503)


async def versions(request: web.Request) -> web.Response:
    """Our own version and each member's; BinderHub's keys too, when all members agree on them."""
    told = {view.member.name: view.versions for view in request.app[POOL].views() if view.versions}
    agreed = {}
    for key in ("builder_info", "binderhub", "builder"):
        values = [versions.get(key) for versions in told.values()]
        if values and values[0] is not None and all(value == values[0] for value in values):
            agreed[key] = values[0]
    return answer({"binder-federation": request.app[VERSION], **agreed, "members": told})


async def members(request: web.Request) -> web.Response:
    """Every member as the router sees it."""
    response = answer(members_document(request.app, named=identify(request) is not None))
    return for_whom(request, response)


def for_whom(request: web.Request, response: web.Response) -> web.Response:
    """The response marked as one that names operators for those who may know them, and for nobody else."""
    response.headers["Vary"] = "Authorization, Cookie"
    if identify(request) is not None:
        response.headers["Cache-Control"] = "no-store"
    return response


def members_document(app: web.Application, *, named: bool) -> dict[str, Any]:
    """All members. A share is one of 1: of launches by weight, of choices lately. `blind_since` tells since when that
    is the last good view, as no member answers. Unless `named`, nobody reads who set something."""
    now, pool = app[CLOCK].now(), app[POOL]
    views = pool.views()
    due = expected(views)
    came = actual(app[CHOICES].counts(), due) or dict.fromkeys(due)
    told = [_member(view, now) for view in views]
    for one in told:
        one["share"] = {"expected": due[one["name"]], "actual": came[one["name"]]}
        one["lately"] = _lately(app[LATELY].within(SPAN, one["name"]))
        one |= _steered(app[STEERING], one["name"], named)
    return {"blind_since": pool.blind_since, "members": told}


def _member(view: MemberView, now: float) -> dict[str, Any]:
    reason, known = view.refusal, evidence(view, now)
    return {
        "name": view.member.name,
        "url": view.member.url,
        "state": view.state,
        "since": view.since,
        "reason": view.reason if reason is None or not view.fit else reason,
        "effective_weight": view.weight if reason is None else 0,
        "pace": view.pacing.factor,
        "pace_reason": view.pacing.reason,
        "seats": view.capacity,
        "free": view.free,
        "load": view.load,
        "leases": view.leases,
        "versions": view.versions,
        **known,
        "signals": {"probe": _probe(view, now), **known["signals"]},
    }


def _steered(steering: Steering, name: str, named: bool) -> dict[str, Any]:
    """What a member gets as a rule and now; while it is drained, the weight that it comes back with."""
    configured, override = steering.configured_weight(name), steering.override(name)
    return {
        "weight": configured if override.weight is None else override.weight,
        "configured_weight": configured,
        "override": set_by_operators(override, named=named),
    }


def _lately(told: Lately) -> dict[str, Any]:
    return {
        "launches": told.launches,
        "success": told.success,
        "ready_seconds": {"p50": told.p50, "p95": told.p95},
    }


def _probe(view: MemberView, now: float) -> dict[str, Any]:
    return {
        "age": None if view.seen is None else round(max(0.0, now - view.seen), 3),
        "checks": [
            {"service": check.service, "ok": check.ok, "ignored": check.ignored, **check.detail}
            for check in view.checks
        ],
    }


def routes() -> list[web.RouteDef]:
    handlers = {
        "/active_hosts": active_hosts,
        "/health": health,
        "/versions": versions,
        "/federation/v1/members": members,
    }
    return [route for path, handler in handlers.items() for route in open_to_all(path, handler)]
