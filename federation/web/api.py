"""What programs may ask of the front door: who is there and how it stands.

Shapes of BinderHub and of mybinder.org's federation-redirect where they have one. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from federation.core.decisions import evidence
from federation.core.lately import Lately
from federation.core.model import MemberView
from federation.core.shares import actual, expected
from federation.service.lately import SPAN, RecentLaunches
from federation.service.ports import Clock
from federation.service.shares import RecentChoices
from federation.web.cors import CORS, open_to_all
from federation.web.keys import POOL

CHOICES = web.AppKey("choices", RecentChoices)
LATELY = web.AppKey("lately", RecentLaunches)
CLOCK = web.AppKey("clock", Clock)
VERSION = web.AppKey("version", str)


def answer(told: Any, *, status: int = 200) -> web.Response:
    body = orjson.dumps(told, default=_plain)
    headers = {**CORS, "Cache-Control": "no-cache"}
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


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
    """Every member as the router sees it. A share is one of 1: of launches by weight, of choices lately.
    `blind_since` tells since when that is the last good view, as no member answers."""
    now, pool = request.app[CLOCK].now(), request.app[POOL]
    views = pool.views()
    due = expected(views)
    came = actual(request.app[CHOICES].counts(), due) or dict.fromkeys(due)
    told = [_member(view, now) for view in views]
    for one in told:
        one["share"] = {"expected": due[one["name"]], "actual": came[one["name"]]}
        one["lately"] = _lately(request.app[LATELY].within(SPAN, one["name"]))
    return answer({"blind_since": pool.blind_since, "members": told})


def _member(view: MemberView, now: float) -> dict[str, Any]:
    reason, known = view.refusal, evidence(view, now)
    return {
        "name": view.member.name,
        "url": view.member.url,
        "state": view.state,
        "since": view.since,
        "reason": view.reason if reason is None or not view.fit else reason,
        "weight": view.member.weight,
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


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def routes() -> list[web.RouteDef]:
    handlers = {
        "/active_hosts": active_hosts,
        "/health": health,
        "/versions": versions,
        "/federation/v1/members": members,
    }
    return [route for path, handler in handlers.items() for route in open_to_all(path, handler)]
