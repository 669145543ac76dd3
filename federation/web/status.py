"""The public status page: each member's state in words, since when and why, its share and its seats; how long
launches wait, incidents, and the last ninety days. Shows the pool's own snapshot, the same that routing uses; decides
nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from federation.core.incidents_kept import told
from federation.core.lately import quantile
from federation.core.model import Check, MemberView, Operation, State
from federation.core.routing import health_label
from federation.core.shares import expected
from federation.core.verdict import QUOTA_CHECK
from federation.service.lately import SPAN, RecentLaunches
from federation.service.ports import Line
from federation.web import feed, history, incidents
from federation.web.api import LATELY, answer
from federation.web.cors import open_to_all
from federation.web.house import page
from federation.web.keys import POOL
from federation.web.words import age, clock, iso, number_of

ROOM = web.AppKey("room", Line)

# State: symbol, tone, words. The symbol's shape and the words say the same as the colour.
WORDS = {
    State.HEALTHY: ("●", "good", "Takes launches"),
    State.UNKNOWN: ("◌", "warn", "Not known yet"),
    State.DEGRADED: ("◐", "warn", "Takes some launches"),
    State.EJECTED: ("▲", "bad", "Out of service"),
    State.TRIAL: ("◔", "warn", "On trial, with one launch at a time"),
    State.RECOVERING: ("◑", "warn", "Takes launches again, a few at first"),
    State.DRAINED: ("■", "off", "Drained by its operators"),
}
FULL = ("◆", "warn", "Full")  # well, but without a free seat
BLIND = ("◌", "warn", "No member answers. Launches go by the last good view of them.")
LAST_CLOSED = 5  # closed incidents on the page
STATUSES = {"good": "up", "warn": "degraded", "bad": "down"}  # of a tone, for programs


async def status(request: web.Request) -> web.Response:
    pool, room = request.app[POOL], request.app[ROOM]
    views, blind_since = pool.views(), pool.blind_since
    due = expected(views)
    now = time.time()
    symbol, tone, summary = BLIND if blind_since is not None else overall(views)
    known, past = request.app[incidents.INCIDENTS].all(), request.app[history.HISTORY].history
    closed = [one for one in known if one.closed is not None][:LAST_CLOSED]
    names = [view.member.name for view in views]
    return page(
        request,
        "status.html",
        rows=[row(view, due[view.member.name], now) for view in views],
        symbol=symbol,
        tone=tone,
        summary=summary,
        blind=None if blind_since is None else {"iso": iso(blind_since), "text": clock(blind_since)},
        in_line=in_line(room.waiting, room.longest),
        lately=lately(request.app[LATELY]),
        open=[incidents.row(one, now) for one in known if one.closed is None],
        closed=[incidents.row(one, now) for one in closed],
        history=history.rows(past, names, now),
        days=history.table(past, names, now),
        marks=history.MARKS,
        feed=feed.PATH,
        now_iso=iso(now),
        now_text=clock(now),
    )


async def status_json(request: web.Request) -> web.Response:
    """The page for programs."""
    pool, room, recent = request.app[POOL], request.app[ROOM], request.app[LATELY]
    views, blind_since = pool.views(), pool.blind_since
    _, tone, summary = BLIND if blind_since is not None else overall(views)
    waits, last = recent.waits(SPAN), recent.within(SPAN)
    return answer(
        {
            "status": "blind" if blind_since is not None else STATUSES[tone],
            "summary": summary,
            "at": time.time(),
            "blind_since": blind_since,
            "members": [_member(view) for view in views],
            "waiting": {
                "launches": room.waiting,
                "longest": room.longest,
                "lately": {"launches": len(waits), "p50": quantile(waits, 0.5), "p95": quantile(waits, 0.95)},
            },
            "lately": {
                "launches": last.launches,
                "success": last.success,
                "ready_seconds": {"p50": last.p50, "p95": last.p95},
            },
            "incidents": [told(one) for one in request.app[incidents.INCIDENTS].open()],
        }
    )


def _member(view: MemberView) -> dict[str, Any]:
    return {
        "name": view.member.name,
        "url": view.member.url,
        "state": view.state,
        "takes_launches": view.refusal is None,
        "since": view.since,
        "reason": why(view),
    }


def overall(views: Sequence[MemberView]) -> tuple[str, str, str]:
    """One symbol, tone and sentence for the whole federation."""
    fit = sum(view.refusal is None for view in views)
    wanted = sum(view.state is not State.DRAINED for view in views)
    if not views:
        return "▲", "bad", "No member is configured."
    if not fit and any(view.state is State.UNKNOWN for view in views):
        return "◌", "warn", "The members have not answered yet. A launch will try them anyway."
    if not fit:
        return "▲", "bad", "No member can take a launch right now."
    verb = "takes" if fit == 1 else "take"
    if fit < wanted:
        return "◐", "warn", f"{fit} of {wanted} members {verb} launches."
    return "●", "good", "The member takes launches." if fit == 1 else f"All {fit} members take launches."


def row(view: MemberView, share: float, now: float) -> dict[str, Any]:
    full = view.state is State.HEALTHY and health_label(view) == QUOTA_CHECK
    symbol, tone, words = FULL if full else WORDS[view.state]
    reason = why(view)
    return {
        "name": view.member.name,
        "url": view.member.url,
        "host": urlsplit(view.member.url).netloc,
        "symbol": symbol,
        "tone": tone,
        "state": words,
        "since": age(now - view.since) if view.since and not full else "",
        "since_iso": iso(view.since),
        "reason": reason[:1].upper() + reason[1:],
        "share": round(100 * share),
        "weight": f"{view.member.weight:g}",
        "seats": seats(view),
        "leases": view.leases,
        "checks": [check_row(check) for check in view.checks],
        "versions": list(flat(view.versions)),
    }


def why(view: MemberView) -> str:
    """Why it is in its state and, of one that takes launches, why not all or none now."""
    refusal = view.refusal or "" if view.fit else ""
    match view.state:
        case State.DEGRADED if Operation.BUILD in view.lost:
            reasons = [f"takes only images that it holds: {view.reason}", refusal]
        case State.DEGRADED if Operation.LAUNCH not in view.lost:
            reasons = [view.reason, refusal]
        case State.TRIAL:
            reasons = [view.reason, "launches failed there, and the next one decides", refusal]
        case State.RECOVERING:
            reasons = [view.reason, f"{100 * view.weight / view.member.weight:.0f} % of its weight", refusal]
        case _:
            reasons = [refusal or view.reason]
    return "; ".join(filter(None, reasons))


def in_line(waiting: int, longest: float) -> str:
    """How many launches wait for a seat, and for how long; empty when none does."""
    if not waiting:
        return ""
    if waiting == 1:
        return f"1 launch waits for a seat, for {age(longest)}."
    return f"{waiting} launches wait for a seat, the first for {age(longest)}."


def lately(recent: RecentLaunches) -> str:
    """How launches of the last hour fared; empty when there was none."""
    last, waits = recent.within(SPAN), recent.waits(SPAN)
    if not last.launches:
        return "No launch has ended in the last hour."
    words = [f"In the last hour {number_of(last.launches, 'launch', 'launches')} ended"]
    if last.p50 is not None:
        words.append(f"half of those that became ready did so within {length(last.p50)}")
    if waits:
        words.append(f"{len(waits)} had to wait for a place, {length(waits[-1])} at most")
    return "; ".join(words) + "."


def length(seconds: float) -> str:
    """A length of time as it was measured: `1.4 seconds`, `3 minutes`."""
    return "a second" if seconds < 1 else f"{seconds:.1f} seconds" if seconds < 10 else age(seconds)


def seats(view: MemberView) -> str:
    if view.seats is None:
        return "not told" if view.member.seats is None else f"{view.member.seats} in all"
    if view.seats.quota is None:
        return f"{view.seats.used} in use, no limit told"
    return f"{view.seats.used} of {view.seats.quota} in use"


def check_row(check: Check) -> dict[str, str]:
    if check.ok:
        return {"service": check.service, "symbol": "✓", "tone": "good", "words": "works"}
    words = "fails, does not count" if check.ignored else "fails"
    return {
        "service": check.service,
        "symbol": "✗",
        "tone": "off" if check.ignored else "bad",
        "words": words,
    }


def flat(told: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """What a member tells of its versions, runtime and isolation, as lines `key, value`."""
    for key, value in told.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name} / ")
        else:
            yield name[:80], str(value)[:200]


def routes() -> list[web.RouteDef]:
    return [web.get("/status", status), *open_to_all("/status.json", status_json), *feed.routes()]
