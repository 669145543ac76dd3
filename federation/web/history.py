"""The last ninety days, as programs and the status page tell of them. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aiohttp import web

from federation.core.history import DAY, Day, History, Presence, last_days
from federation.service.history import HistoryKeeper
from federation.web.api import CLOCK, answer
from federation.web.cors import open_to_all
from federation.web.words import date, number_of, percent

HISTORY = web.AppKey("history", HistoryKeeper)

WHOLE, MOSTLY = 0.995, 0.9  # shares of a day
FEDERATION = "The federation"
# Mark: words. Its height and pattern say the same as its colour.
MARKS = {
    "up": "took launches all day",
    "partly": "most of the day",
    "down": "less",
    "drained": "drained by operators",
    "unknown": "not known",
}


async def history(request: web.Request) -> web.Response:
    """Each day with the share of time in which launches were taken, as far as it is known."""
    told = last_days(request.app[HISTORY].history, request.app[CLOCK].now())
    return answer({"days": [_day(date(number), day) for number, day in told]})


def _day(date: str, day: Day) -> dict[str, Any]:
    return {
        "date": date,
        "known": min(1.0, day.federation.known / DAY),
        "up": day.federation.share,
        "launches": day.launches,
        "success": day.success,
        "members": {name: one.share for name, one in day.members.items()},
        "drained": {name: min(1.0, one.drained / DAY) for name, one in day.members.items() if one.drained},
    }


def rows(history: History, members: Sequence[str], now: float) -> list[dict[str, Any]]:
    """The federation and each member with its marks, for the page."""
    days = list(last_days(history, now))
    told = [(FEDERATION, [day.federation for _, day in days])]
    told += [(name, [day.members.get(name, Presence()) for _, day in days]) for name in members]
    return [_row(name, presences) for name, presences in told]


def table(history: History, members: Sequence[str], now: float) -> list[dict[str, Any]]:
    """The days of which something is known, the latest first, in words."""
    return list(_table(history, members, now))[::-1]


def _table(history: History, members: Sequence[str], now: float) -> Iterator[dict[str, Any]]:
    for number, day in last_days(history, now):
        if not day.launches and not day.federation.known and not day.members:
            continue
        told = [
            (FEDERATION, day.federation),
            *((name, day.members.get(name, Presence())) for name in members),
        ]
        yield {
            "date": date(number),
            "launches": day.launches,
            "success": percent(day.success),
            "shares": [(name, in_words(presence)) for name, presence in told],
        }


def in_words(presence: Presence) -> str:
    drained = "drained by operators" if presence.drained else ""
    if presence.share is None:
        return drained or MARKS["unknown"]
    return f"{percent(presence.share)}, else {drained}" if drained else percent(presence.share)


def mark(presence: Presence) -> str:
    share = presence.share
    if share is None:
        return "drained" if presence.drained else "unknown"
    return "up" if share >= WHOLE else "partly" if share >= MOSTLY else "down"


def _row(name: str, presences: Sequence[Presence]) -> dict[str, Any]:
    marks = [mark(presence) for presence in presences]
    whole = Presence(
        sum(presence.known for presence in presences),
        sum(presence.up for presence in presences),
        sum(presence.drained for presence in presences),
    )
    counts = ", ".join(
        f"{number_of(marks.count(kind), 'day')} {words}" for kind, words in MARKS.items() if kind in marks
    )
    share = (
        "nothing is known yet" if whole.share is None else f"took launches {percent(whole.share)} of the time"
    )
    return {"name": name, "marks": marks, "share": share, "label": f"{name}: {counts}"}


def routes() -> list[web.RouteDef]:
    return open_to_all("/federation/v1/history", history)
