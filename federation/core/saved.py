"""What is kept of the members over a restart, and what it is worth afterwards. Knows no file and no clock.

Nothing that was kept is trusted until the member was seen once; only a member that was ejected for its launches stays
so, since a look alone would bring it back. A field that is missing or bad is as if it had not been kept, and
one that is not known here is passed over: an older or newer front door may have written it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from federation.core.health import Standing
from federation.core.model import Seats, State, nothing
from federation.core.rules import HealthRules
from federation.core.seats import Learned
from federation.core.told import bounded, number, text

VERSION = 1  # of the document; another one is not read
FRESH = 300.0  # seconds that the numbers of seats say something of the present
_LONGEST_BACKOFF = 1.1  # of `eject_max`, with its jitter: a clock that was wrong must not keep a member out


@dataclass(frozen=True, slots=True)
class Kept:
    """One member as it stood. `url` is where: what is known of a place says nothing of another one. `seen` is when
    `seats` and `versions` were told. Times are seconds since the epoch."""

    url: str
    standing: Standing
    reason: str = ""
    learned: Learned = field(default_factory=Learned)
    versions: Mapping[str, Any] = field(default_factory=nothing)
    seats: Seats | None = None
    seen: float | None = None


def document(kept: Mapping[str, Kept]) -> dict[str, Any]:
    """What is written, as JSON's own types."""
    return {"version": VERSION, "members": {name: _written(one) for name, one in kept.items()}}


def read(found: object) -> dict[str, Kept]:
    """What a document tells, by member. Raises ValueError when it is none of this version."""
    version = found.get("version") if isinstance(found, dict) else None
    if not isinstance(found, dict) or version != VERSION or isinstance(version, bool):
        raise ValueError(f"holds no view of version {VERSION}")
    members = found.get("members")
    told = members.items() if isinstance(members, dict) else ()
    read = {name: _read(one) for name, one in told if isinstance(one, dict)}
    return {name: one for name, one in read.items() if one is not None}


def alike(one: Mapping[str, Any], other: Mapping[str, Any] | None) -> bool:
    """Whether two documents differ in nothing but when the members were seen: not worth writing anew."""
    return other is not None and _timeless(one) == _timeless(other)


def on_start(kept: Kept, rules: HealthRules, now: float) -> tuple[Standing, str]:
    """The standing with which a member begins, and the reason for it."""
    old = kept.standing
    if old.by_launches and old.state in (State.EJECTED, State.TRIAL):
        until = min(old.until, now + rules.eject_max * _LONGEST_BACKOFF)
        since = min(old.since, now)
        return replace(old, state=State.EJECTED, good=0, bad=0, since=since, until=until), kept.reason
    reason = f"not seen since the start; was {old.state.value} before"
    return Standing(since=now, ejections=old.ejections), reason


def seats_now(kept: Kept, now: float) -> Seats | None:
    """The numbers of seats, if they are not too old."""
    return kept.seats if kept.seen is not None and 0 <= now - kept.seen <= FRESH else None


def _written(one: Kept) -> dict[str, Any]:
    standing, seats = one.standing, one.seats
    return {
        "url": one.url,
        "state": standing.state.value,
        "since": standing.since,
        "reason": one.reason,
        "ejected_by_launches": standing.by_launches,
        "ejected_until": standing.until,
        "ejections": standing.ejections,
        "learned": None if one.learned.limit is None else {"seats": one.learned.limit, "at": one.learned.at},
        "versions": bounded(one.versions),
        "seats": None if seats is None else {"used": seats.used, "quota": seats.quota},
        "seen": one.seen,
    }


def _read(told: Mapping[str, Any]) -> Kept | None:
    url, reason, versions = told.get("url"), told.get("reason"), told.get("versions")
    if not isinstance(url, str):
        return None
    standing = Standing(
        state=_state(told.get("state")),
        since=_time(told.get("since")) or 0.0,
        by_launches=told.get("ejected_by_launches") is True,
        until=_time(told.get("ejected_until")) or 0.0,
        ejections=_count(told.get("ejections")) or 0,
    )
    return Kept(
        url,
        standing,
        text(reason) if isinstance(reason, str) else "",
        _learned(told.get("learned")),
        bounded(versions) if isinstance(versions, dict) else nothing(),
        _seats(told.get("seats")),
        _time(told.get("seen")),
    )


def _state(told: object) -> State:
    return next((state for state in State if state.value == told), State.UNKNOWN)


def _learned(told: object) -> Learned:
    if not isinstance(told, dict):
        return Learned()
    limit, at = _count(told.get("seats")), _time(told.get("at"))
    return Learned() if limit is None or at is None else Learned(limit, at)


def _seats(told: object) -> Seats | None:
    if not isinstance(told, dict):
        return None
    used, quota = _count(told.get("used")), _count(told.get("quota"))
    return None if used is None else Seats(used, quota)


def _count(told: object) -> int | None:
    value = number(told)
    return value if isinstance(value, int) and value >= 0 else None


def _time(told: object) -> float | None:
    value = number(told)
    return None if value is None or value < 0 else float(value)


def _timeless(written: Mapping[str, Any]) -> dict[str, Any]:
    members = written["members"]
    return {name: {**one, "seen": None} for name, one in members.items()}
