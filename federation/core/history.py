"""How the last ninety days were: for how long members took launches, and how launches ended. Knows no clock.

Time that was not looked at is not known, and counts as neither up nor down. A day is its number since 1970-01-01, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from federation.core.model import MemberView, State, nothing
from federation.core.told import number

VERSION = 1  # of the document; another one is not read
DAYS = 90
MOST_DAYS = 2 * DAYS  # that are kept
DAY = 86400.0  # seconds
LONGEST_STEP = 30.0  # seconds between two looks; more is a gap
MOST_MEMBERS = 200  # of one day


@dataclass(frozen=True, slots=True)
class Presence:
    """Seconds of a day: `known` of them were looked at, `up` with launches taken, `drained` by an operator's wish."""

    known: float = 0.0
    up: float = 0.0
    drained: float = 0.0

    @property
    def share(self) -> float | None:
        """Of the time in which launches were expected to be taken; None when there was none."""
        expected = self.known - self.drained
        return min(1.0, self.up / expected) if expected > 0 else None


@dataclass(frozen=True, slots=True)
class Day:
    """`federation` is up while at least one member takes launches. `good` and `bad` launches are as in
    `federation.core.lately`."""

    federation: Presence = Presence()
    members: Mapping[str, Presence] = field(default_factory=nothing)
    launches: int = 0
    good: int = 0
    bad: int = 0

    @property
    def success(self) -> float | None:
        told = self.good + self.bad
        return self.good / told if told else None


@dataclass(frozen=True, slots=True)
class History:
    """The days by number, and when it was last looked."""

    days: Mapping[int, Day] = field(default_factory=dict)
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Launches:
    """Launches that ended since the last look."""

    ended: int = 0
    good: int = 0
    bad: int = 0


def looked(
    history: History, views: Iterable[MemberView], *, blind: bool, launches: Launches, now: float
) -> History:
    """The time since the last look counts as what is seen now. A clock that was set, or a longer gap, adds none."""
    before = now if history.at is None else history.at
    views = tuple(views)
    days = dict(history.days)
    if 0 < now - before <= LONGEST_STEP:
        for day, seconds in _split(before, now):
            seen = _with_time(days.get(day, Day()), views, blind, seconds)
            if seen != Day():
                days[day] = seen
    if launches.ended:
        today = days.get(day_of(now), Day())
        days[day_of(now)] = replace(
            today,
            launches=today.launches + launches.ended,
            good=today.good + launches.good,
            bad=today.bad + launches.bad,
        )
    # By number, not by date: a clock that is wrong for a while must not cost the days before.
    return History(dict(sorted(days.items())[-MOST_DAYS:]), now)


def day_of(at: float) -> int:
    return int(at // DAY)


def last_days(history: History, now: float) -> Iterator[tuple[int, Day]]:
    """All ninety, the oldest first, whether anything is known of them or not."""
    today = day_of(now)
    for day in range(today - DAYS + 1, today + 1):
        yield day, history.days.get(day, Day())


def document(history: History) -> dict[str, Any]:
    """What is written, as JSON's own types."""
    return {"version": VERSION, "days": [_written(number, day) for number, day in history.days.items()]}


def read(found: object) -> History:
    """What a document tells. Raises ValueError when it is none of this version."""
    version = found.get("version") if isinstance(found, dict) else None
    if not isinstance(found, dict) or version != VERSION or isinstance(version, bool):
        raise ValueError(f"holds no history of version {VERSION}")
    told = found.get("days")
    days: dict[int, Day] = {}
    for one in told if isinstance(told, list) else ():
        if isinstance(one, dict) and (day := _count(one.get("day"))):
            days[day] = _day(one)
    return History(dict(sorted(days.items())))


def _split(start: float, end: float) -> Iterator[tuple[int, float]]:
    """The seconds between two moments, by day."""
    while start < end:
        day = day_of(start)
        until = min(end, (day + 1) * DAY)
        yield day, until - start
        start = until


def _with_time(day: Day, views: Iterable[MemberView], blind: bool, seconds: float) -> Day:
    members = dict(day.members)
    known = up = False
    for view in views:
        name = view.member.name
        if view.state is State.UNKNOWN:
            continue
        known = True
        up = up or view.fit
        if name not in members and len(members) >= MOST_MEMBERS:
            continue
        before = members.get(name, Presence())
        if view.state is State.DRAINED:
            members[name] = replace(before, known=before.known + seconds, drained=before.drained + seconds)
        elif not blind:  # else its state is only the last that was seen
            members[name] = _longer(before, seconds, view.fit)
    if not known:
        return replace(day, members=members)
    return replace(day, members=members, federation=_longer(day.federation, seconds, up and not blind))


def _longer(presence: Presence, seconds: float, up: bool) -> Presence:
    return replace(presence, known=presence.known + seconds, up=presence.up + (seconds if up else 0.0))


def _written(number: int, day: Day) -> dict[str, Any]:
    return {
        "day": number,
        "launches": day.launches,
        "good": day.good,
        "bad": day.bad,
        "federation": _seconds(day.federation),
        "members": {name: _seconds(one) for name, one in day.members.items()},
    }


def _seconds(one: Presence) -> dict[str, float]:
    return {"known": round(one.known, 3), "up": round(one.up, 3), "drained": round(one.drained, 3)}


def _day(told: Mapping[str, Any]) -> Day:
    members = told.get("members")
    return Day(
        _presence(told.get("federation")),
        {
            name: _presence(one)
            for name, one in list((members if isinstance(members, dict) else {}).items())[:MOST_MEMBERS]
        },
        *(_count(told.get(key)) for key in ("launches", "good", "bad")),
    )


def _presence(told: object) -> Presence:
    if not isinstance(told, dict):
        return Presence()
    return Presence(*(_length(told.get(key)) for key in ("known", "up", "drained")))


def _length(told: object) -> float:
    value = number(told)
    return 0.0 if value is None or value < 0 else float(value)


def _count(told: object) -> int:
    value = number(told)
    return value if isinstance(value, int) and value >= 0 else 0
