"""The donors' ledger: what each member gave, by month and, for the last weeks, by day. Knows no file and no clock.

Days are there to learn what a launch costs; months are for the credit, and stay. A member that left keeps its credit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from federation.core.months import DAY, day_name, day_named, day_of, month_named, month_of

VERSION = 1  # of the document; another one is not read
KEPT_DAYS = 62
KEPT_MONTHS = 240
MOST_MEMBERS = 1000
GAP = 30.0  # seconds between two samples, from which on nobody knows what was in between


@dataclass(frozen=True, slots=True)
class Served:
    """What a member gave in some time. `launches` were ready; `redirected` were handed to it, and not seen to their
    end. `builds` are images that it made for launches. `whole` is how many launches it would have taken at its whole
    weight: more than it took, while it was paced."""

    launches: int = 0
    redirected: int = 0
    session_hours: float = 0.0
    builds: int = 0
    whole: float = 0.0

    @property
    def taken(self) -> int:
        return self.launches + self.redirected

    def __add__(self, other: Served) -> Served:
        return Served(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Served)))


NONE = Served()


@dataclass(slots=True)
class Account:
    """One member's part of the ledger: by the name of the month, and by the number of the day."""

    months: dict[str, Served] = field(default_factory=dict)
    days: dict[int, Served] = field(default_factory=dict)

    def add(self, served: Served, now: float) -> None:
        """It gave this just now."""
        month, day = month_of(now).name, day_of(now)
        self.months[month] = self.months.get(month, NONE) + served
        self.days[day] = self.days.get(day, NONE) + served
        for old in [one for one in self.days if one <= day - KEPT_DAYS]:
            del self.days[old]
        for name in sorted(self.months)[:-KEPT_MONTHS]:
            del self.months[name]

    def take_in(self, other: Account) -> None:
        """Adds what another account of the same member tells."""
        for month, served in other.months.items():
            self.months[month] = self.months.get(month, NONE) + served
        for day, served in other.days.items():
            self.days[day] = self.days.get(day, NONE) + served

    def month(self, name: str) -> Served:
        return self.months.get(name, NONE)

    def between(self, start: float, end: float, now: float, figure: Callable[[Served], float]) -> float:
        """A figure of this time, as far as days are kept. A day that is only partly in it counts by that part; of the
        present one nothing is known beyond `now`."""
        total = 0.0
        for day, served in self.days.items():
            begun, over = day * DAY, min(now, (day + 1) * DAY)
            part = min(end, over) - max(start, begun)
            if part > 0:
                total += figure(served) * part / (over - begun)
        return total

    @property
    def whole(self) -> Served:
        """All that it ever gave."""
        total = NONE
        for served in self.months.values():
            total += served
        return total


def session_hours(used: int | None, seconds: float) -> float:
    """What so many sessions over this time are worth; nothing after a gap, or when the number is not known."""
    if used is None or not 0 < seconds <= GAP:
        return 0.0
    return used * seconds / 3600


def document(accounts: Mapping[str, Account], since: float) -> dict[str, Any]:
    """What is written, as JSON's own types. `since` is when the ledger was begun, in seconds since the epoch."""
    return {
        "version": VERSION,
        "since": since,
        "members": {
            name: {
                "months": {month: _written(one) for month, one in sorted(account.months.items())},
                "days": {day_name(day): _written(one) for day, one in sorted(account.days.items())},
            }
            for name, account in sorted(accounts.items())
        },
    }


def read(found: object) -> tuple[dict[str, Account], float]:
    """What a document tells, and since when. Raises ValueError when it is none of this version, or holds what cannot
    be: a ledger is credit, so none of it is passed over silently."""
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise ValueError(f"holds no ledger of version {VERSION}")
    members, since = found.get("members"), found.get("since")
    if not isinstance(members, dict) or len(members) > MOST_MEMBERS or not _amount(since):
        raise ValueError("holds no ledger: members and since are expected")
    return {str(name): _account(name, one) for name, one in members.items()}, float(since or 0)


def _account(name: str, told: object) -> Account:
    account = Account()
    for key, served in _parts(name, told, "months"):
        account.months[month_named(key).name] = served
    for key, served in _parts(name, told, "days"):
        account.days[day_named(key)] = served
    return account


def _parts(name: str, account: object, kind: str) -> Iterator[tuple[str, Served]]:
    parts = account.get(kind) if isinstance(account, dict) else None
    if not isinstance(parts, dict):
        raise ValueError(f"members.{name}.{kind}: {parts!r}, expected an object")
    for key, one in parts.items():
        told = one if isinstance(one, dict) else {}
        figures = {figure.name: told.get(figure.name, 0) for figure in fields(Served)}
        if not isinstance(one, dict) or not all(map(_amount, figures.values())):
            raise ValueError(f"members.{name}.{kind}.{key}: {one!r}, expected figures from 0")
        counts = {key: int(value) for key, value in figures.items() if key not in ("session_hours", "whole")}
        yield str(key), Served(**{**figures, **counts})


def _amount(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value < 1e15


def _written(served: Served) -> dict[str, float]:
    return {
        "launches": served.launches,
        "redirected": served.redirected,
        "session_hours": round(served.session_hours, 6),
        "builds": served.builds,
        "whole": round(served.whole, 6),
    }
