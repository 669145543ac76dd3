"""What programs may ask of the front door: who is there, how it stands, why a launch would go where.

Shapes of BinderHub and of mybinder.org's federation-redirect where they have one. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from federation.core.errors import LaunchError
from federation.core.launchkey import parse_spec, take_member
from federation.core.model import Decision, MemberView
from federation.service.dispatch import Dispatcher
from federation.service.ports import Clock
from federation.web.cors import CORS, open_to_all
from federation.web.keys import POOL, RUNNING

DISPATCHER = web.AppKey("dispatcher", Dispatcher)
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
    """BinderHub's shape: 503 only when no member can take a launch; one member alone decides nothing."""
    checks = []
    for view in request.app[POOL].views():
        reason = view.refusal
        told = {"service": view.member.name, "ok": reason is None, "_ignore_failure": True}
        checks.append(told if reason is None else {**told, "reason": reason})
    ok = any(check["ok"] for check in checks)
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
    now = request.app[CLOCK].now()
    return answer({"members": [_member(view, now) for view in request.app[POOL].views()]})


async def explain(request: web.Request) -> web.Response:
    """Where a launch of this spec would go now, with all scores and reasons. Sends nothing there."""
    try:
        spec, _, query = request.query.get("spec", "").partition("?")
        launch = parse_spec(spec)
    except LaunchError as error:
        return answer({"status": 400, "message": error.message}, status=400)
    prefer = take_member(query)[1] or request.query.get("member")
    decision = request.app[DISPATCHER].decide(replace(launch, prefer=prefer))
    return answer(_decision(decision, request.app[RUNNING].settings.policy.order))


def _member(view: MemberView, now: float) -> dict[str, Any]:
    reason = view.refusal
    return {
        "name": view.member.name,
        "url": view.member.url,
        "state": view.state,
        "since": view.since,
        "reason": view.reason if reason is None or not view.fit else reason,
        "weight": view.member.weight,
        "effective_weight": view.weight if reason is None else 0,
        "seats": view.capacity,
        "free": view.free,
        "leases": view.leases,
        "versions": view.versions,
        "signals": {
            "probe": {
                "age": None if view.seen is None else round(max(0.0, now - view.seen), 3),
                "checks": [
                    {"service": check.service, "ok": check.ok, "ignored": check.ignored, **check.detail}
                    for check in view.checks
                ],
            }
        },
    }


def _decision(decision: Decision, policy: str) -> dict[str, Any]:
    return {
        "provider": decision.launch.provider,
        "spec": decision.launch.spec,
        "repo_key": decision.launch.repo_key,
        "policy": policy,
        "why": decision.why,
        "last_resort": decision.last_resort,
        "candidates": [
            {
                "name": candidate.view.member.name,
                "score": candidate.score,
                "weight": candidate.view.member.weight,
                "state": candidate.view.state,
            }
            for candidate in decision.candidates
        ],
        "exclusions": [{"name": one.name, "reason": one.reason} for one in decision.exclusions],
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
        "/federation/v1/explain": explain,
    }
    return [route for path, handler in handlers.items() for route in open_to_all(path, handler)]
