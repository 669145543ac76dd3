"""What operators set and changed as documents, and back. Knows no file.

The same shapes are kept and told: `{weight: {value, by, reason, at, until}, drained: {by, reason, at, until}}`, each
part null when it is not set. What is read back is taken whole or not at all: a half of what somebody set is something
that nobody set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federation.core.steering import NOTHING_SET, Change, Override, Overrides, Word
from federation.core.told import number

VERSION = 1


def told(override: Override, *, named: bool = True) -> dict[str, Any] | None:
    """What is set for a member, None when nothing is. Unless `named`, it does not say by whom."""
    if override == NOTHING_SET:
        return None
    weight, drained = override.weighted, override.drained
    return {
        "weight": None if weight is None else {"value": override.weight, **_word(weight, named)},
        "drained": None if drained is None else _word(drained, named),
    }


def change_told(change: Change) -> dict[str, Any]:
    """One line of the audit."""
    return {
        "id": change.id,
        "at": change.at,
        "who": change.who,
        "by": change.by,
        "member": change.member,
        "before": told(change.before),
        "after": told(change.after),
        "reason": change.reason,
        "until": change.until,
    }


def document(overrides: Overrides, through: int) -> dict[str, Any]:
    """All that is set, after the changes up to the one with the id `through`."""
    return {
        "version": VERSION,
        "through": through,
        "members": {name: told(override) for name, override in overrides.items()},
    }


def read_document(found: object) -> tuple[dict[str, Override], int]:
    """What a document tells: what is set by member, and the id of the last change in it. Raises ValueError when it is
    none, or not of this version."""
    whole = _mapping(found, "the document")
    if whole.get("version") != VERSION or isinstance(whole["version"], bool):
        raise ValueError(f"version: {whole.get('version')!r}, expected {VERSION}")
    members = _mapping(whole.get("members"), "members")
    read = {name: read_override(one, f"members.{name}") for name, one in members.items()}
    return {name: one for name, one in read.items() if one != NOTHING_SET}, _whole(whole, "through", 0)


def read_change(found: object) -> Change:
    """A line of the audit. Raises ValueError when it is none."""
    line = _mapping(found, "the line")
    return Change(
        at=_time(line, "at"),
        who=_text(line, "who"),
        by=_text(line, "by"),
        member=_text(line, "member"),
        before=read_override(line.get("before"), "before"),
        after=read_override(line.get("after"), "after"),
        reason=_text(line, "reason"),
        until=_end(line),
        id=_whole(line, "id", 1),
    )


def read_override(found: object, where: str) -> Override:
    """What `told` made. Raises ValueError when it made no such thing; `where` is its place, for the message."""
    if found is None:
        return NOTHING_SET
    whole = _mapping(found, where)
    weight, drained = whole.get("weight"), whole.get("drained")
    try:
        return Override(
            weight=None if weight is None else _weight(_mapping(weight, "weight")),
            weighted=None if weight is None else _read_word(_mapping(weight, "weight")),
            drained=None if drained is None else _read_word(_mapping(drained, "drained")),
        )
    except ValueError as problem:
        raise ValueError(f"{where}: {problem}") from problem


def _word(word: Word, named: bool) -> dict[str, Any]:
    return {"by": word.by if named else None, "reason": word.reason, "at": word.at, "until": word.until}


def _read_word(whole: Mapping[str, Any]) -> Word:
    return Word(_text(whole, "by"), _text(whole, "reason"), _time(whole, "at"), _end(whole))


def _weight(whole: Mapping[str, Any]) -> float:
    value = number(whole.get("value"))
    if value is None or value < 0:
        raise ValueError(f"value: {whole.get('value')!r}, expected a number from 0")
    return float(value)


def _mapping(found: object, where: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{where}: {_shown(found)}, expected keys with values")
    return found


def _text(whole: Mapping[str, Any], key: str) -> str:
    value = whole.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key}: {_shown(value)}, expected a text")
    return value


def _time(whole: Mapping[str, Any], key: str) -> float:
    value = number(whole.get(key))
    if value is None:
        raise ValueError(f"{key}: {_shown(whole.get(key))}, expected seconds since the epoch")
    return float(value)


def _end(whole: Mapping[str, Any]) -> float | None:
    return None if whole.get("until") is None else _time(whole, "until")


def _whole(whole: Mapping[str, Any], key: str, least: int) -> int:
    value = number(whole.get(key))
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{key}: {_shown(whole.get(key))}, expected a whole number from {least}")
    return value


def _shown(value: object) -> str:
    return repr(value)[:60]
