"""What the federation costs and who gives it: the present month, the donors' ledger, mybinder.org's list of costs.
Public, as the archive is. Changes nothing."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from federation.core.costs import Figures
from federation.core.model import Pacing
from federation.core.months import moment
from federation.service.costs import PUBLISHED, Costs
from federation.web.api import answer
from federation.web.cors import CORS, open_to_all
from federation.web.keys import POOL, RUNNING

COSTS = web.AppKey("costs", Costs)

MONTHS = 12  # of the ledger in one answer


async def costs(request: web.Request) -> web.Response:
    """Each member in the present month (UTC). `cost` includes `estimated`, which is of the time since `told_until`,
    the end of the last export; null: not known."""
    known, pool = request.app[COSTS], request.app[POOL]
    views = {view.member.name: view for view in pool.views()}
    return answer(
        {
            "currency": known.currency,
            "month": known.month().name,
            "members": [
                {
                    **_money(one),
                    **_served(one),
                    **_pace(views[one.name].pacing if one.name in views else Pacing()),
                }
                for one in known.figures()
            ],
        }
    )


async def ledger(request: web.Request) -> web.Response:
    """What members gave, in the last months that anybody gave something, newest first; those that left included."""
    known = request.app[COSTS]
    return answer(
        {
            "currency": known.currency,
            "since": known.ledger.since,
            "months": [
                {
                    "month": month.name,
                    "members": [{"name": one.name, "cost": _cents(one.cost), **_served(one)} for one in told],
                }
                for month, told in known.past(MONTHS)
            ],
        }
    )


async def cloud_costs(request: web.Request) -> web.Response:
    """All members' costs together, in mybinder.org's shape: a line of JSON for each period."""
    if not request.app[RUNNING].settings.archive.serve:
        raise web.HTTPNotFound(reason="This front door publishes no archive")
    body = b"".join(orjson.dumps(entry) + b"\n" for entry in request.app[COSTS].entries())
    headers = {**CORS, "Cache-Control": "no-cache"}
    return web.Response(body=body, content_type="application/x-ndjson", charset="utf-8", headers=headers)


def _money(one: Figures) -> dict[str, Any]:
    return {
        "name": one.name,
        "cost": _cents(one.cost),
        "estimated": _cents(one.estimated),
        "told_until": None if one.told_until is None else moment(one.told_until),
        "cap": one.cap,
        "per_launch": _fine(one.per_launch),
        "per_session_hour": _fine(one.per_session_hour),
    }


def _served(one: Figures) -> dict[str, Any]:
    return {
        "launches": one.served.launches,
        "redirected": one.served.redirected,
        "session_hours": round(one.served.session_hours, 3),
        "builds": one.served.builds,
    }


def _pace(pacing: Pacing) -> dict[str, Any]:
    return {"pace": pacing.factor, "pace_reason": pacing.reason}


def _cents(cost: float | None) -> float | None:
    return None if cost is None else round(cost, 2)


def _fine(cost: float | None) -> float | None:
    return None if cost is None else round(cost, 6)


def routes() -> list[web.RouteDef]:
    handlers = {
        "/federation/v1/costs": costs,
        "/federation/v1/ledger": ledger,
        f"/archive/{PUBLISHED}": cloud_costs,
    }
    return [route for path, handler in handlers.items() for route in open_to_all(path, handler)]
