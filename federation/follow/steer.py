"""Setting something for a member through a front door's HTTP API, and reading who set what. Knows no terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from yarl import URL

from federation.follow.ask import Refused, Told, ask, exchange

MEMBERS, AUDIT = "/federation/v1/members", "/federation/v1/audit"
_LENGTH = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[smhd])", re.ASCII)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class UnclearEnd(ValueError):
    """The text names no end; the message says what would."""


class ChangedMeanwhile(Exception):
    """Somebody changed the member between our reading and our writing. `entries` are the audit's about it, newest
    first; without any it was the configuration that changed."""

    def __init__(self, member: str, entries: list[dict[str, Any]]) -> None:
        super().__init__(member, entries)
        self.member, self.entries = member, entries


@dataclass(frozen=True, slots=True)
class End:
    """When something ends by itself: after so many seconds, or at a time, in seconds since the epoch."""

    after: float | None = None
    at: float | None = None

    def time(self, now: float) -> float | None:
        return self.at if self.after is None else now + self.after


def end(text: str) -> End:
    """The end that a person wrote: a length such as `10m`, `2h` or `3d`, or an ISO time, which is a local one unless
    it says otherwise. Raises UnclearEnd."""
    if found := _LENGTH.fullmatch(text.strip()):
        return End(after=float(found["number"]) * _UNITS[found["unit"]])
    try:
        return End(at=datetime.fromisoformat(text.strip()).timestamp())
    except (ValueError, OverflowError, OSError):
        expected = f"a length such as 10m or 2h, or a time such as {_example()}"
        raise UnclearEnd(f"{text!r} is no end: expected {expected}") from None


async def steer(
    front_door: str, token: str, name: str, wish: Mapping[str, Any], ends: End = End()
) -> dict[str, Any]:
    """The member after the wish, whose keys are those of the HTTP API. A length begins by the front door's own clock.

    Raises ChangedMeanwhile, and as `ask.exchange`.
    """
    last = _newest(await ask(front_door, AUDIT, token=token, limit="1"))
    url = URL(f"{front_door.rstrip('/')}{MEMBERS}/{quote(name, safe='')}", encoded=True)
    read = await exchange("GET", url, token=token)
    body = {**wish, "until": ends.time(_clock(read))}
    try:
        tag = {"If-Match": read.headers.get("ETag", "")}
        return (await exchange("PATCH", url, token=token, body=body, headers=tag)).body
    except Refused as problem:
        if problem.status != 412:
            raise
    entries = (await ask(front_door, AUDIT, token=token)).get("entries")
    found = entries if isinstance(entries, list) else []
    raise ChangedMeanwhile(
        name,
        [one for one in found if isinstance(one, dict) and one.get("member") == name and _id(one) > last],
    )


def _newest(audit: Mapping[str, Any]) -> int:
    entries = audit.get("entries")
    return _id(entries[0]) if isinstance(entries, list) and entries else 0


def _id(entry: Any) -> int:
    id = entry.get("id") if isinstance(entry, dict) else None
    return id if isinstance(id, int) else 0


def _clock(told: Told) -> float:
    """The front door's time, as far as it tells it."""
    try:
        return parsedate_to_datetime(told.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return time.time()


def _example() -> str:
    return datetime.now().astimezone().replace(microsecond=0).isoformat(timespec="minutes")
