"""Incidents as JSON's own types: as they are told, and as they are kept over a restart. Knows no file.

A record that cannot be read is as if it had not been kept; a field that is not known here is passed over: an older or
newer front door may have written it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from federation.core.incident import LONGEST_NOTE, MOST_NOTES, Cause, Incident, Kind, Note
from federation.core.told import number, text

VERSION = 1  # of a record; another one is not read
LONGEST_ID = 40


def record(incident: Incident) -> dict[str, Any]:
    """One line of the file: the whole incident as it stands. A later one takes the place of those before it."""
    latest = incident.latest
    return {
        "version": VERSION,
        "id": incident.id,
        "kind": incident.kind.value,
        "member": incident.member,
        "began": incident.began,
        "opened": incident.opened,
        "closed": incident.closed,
        "reason": incident.reason,
        "cause": incident.cause.value,
        "affected": incident.affected,
        "failed": incident.failed,
        "causes": dict(incident.causes),
        "timeline": [_note(note) for note in incident.timeline],
        "latest": None if latest is None else _note(latest),
        "left_out": incident.left_out,
    }


def told(incident: Incident) -> dict[str, Any]:
    """The incident as programs get it."""
    return {
        "id": incident.id,
        "kind": incident.kind.value,
        "title": incident.title,
        "member": incident.member or None,
        "cause": incident.cause.value,
        "reason": incident.reason,
        "began": incident.began,
        "opened": incident.opened,
        "closed": incident.closed,
        "launches": {"affected": incident.affected, "failed": incident.failed},
        "causes": dict(incident.causes),
        "timeline": [_note(note) for note in incident.story],
        "left_out": incident.left_out,
        "report": f"/federation/v1/incidents/{incident.id}/report",
    }


def read(records: Iterable[object]) -> tuple[Incident, ...]:
    """The incidents that these records tell of, each as its last record does."""
    found: dict[str, Incident] = {}
    for one in records:
        if isinstance(one, dict) and (incident := _read(one)) is not None:
            found[incident.id] = incident
    return tuple(found.values())


def _read(one: Mapping[str, Any]) -> Incident | None:
    id, began, opened = one.get("id"), _time(one.get("began")), _time(one.get("opened"))
    kind = next((kind for kind in Kind if kind.value == one.get("kind")), None)
    if one.get("version") != VERSION or not isinstance(id, str) or not _plain(id):
        return None
    if kind is None or began is None or opened is None:
        return None
    timeline = one.get("timeline")
    notes = [_noted(note) for note in timeline] if isinstance(timeline, list) else []
    return Incident(
        id,
        kind,
        _words(one.get("member")),
        began,
        opened,
        _time(one.get("closed")),
        _words(one.get("reason")),
        next((cause for cause in Cause if cause.value == one.get("cause")), Cause.UNKNOWN),
        _count(one.get("affected")),
        _count(one.get("failed")),
        _counts(one.get("causes")),
        tuple(note for note in notes if note is not None)[-MOST_NOTES:],
        _noted(one.get("latest")),
        _count(one.get("left_out")),
    )


def _plain(id: str) -> bool:
    """Whether it may be part of an address as it is."""
    return 0 < len(id) <= LONGEST_ID and all(one.isascii() and (one.isalnum() or one == "-") for one in id)


def _note(note: Note) -> dict[str, Any]:
    return {"at": note.at, "text": note.text}


def _noted(one: object) -> Note | None:
    at = _time(one.get("at")) if isinstance(one, dict) else None
    words = one.get("text") if isinstance(one, dict) else None
    return Note(at, _words(words)) if at is not None and isinstance(words, str) else None


def _words(one: object) -> str:
    return text(one, LONGEST_NOTE) if isinstance(one, str) else ""


def _counts(one: object) -> tuple[tuple[str, int], ...]:
    counts = one.items() if isinstance(one, dict) else ()
    return tuple(sorted((text(word), _count(count)) for word, count in counts))[:100]


def _count(one: object) -> int:
    value = number(one)
    return value if isinstance(value, int) and value >= 0 else 0


def _time(one: object) -> float | None:
    value = number(one)
    return None if value is None or value < 0 else float(value)
