"""What is told on the live stream of events: the frame of an event, and what counts as news. Knows no listener.

The frame is that of the event stream format of the HTML standard, with a name and one line of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federation.core.facts import Steered
from federation.core.steering import NOTHING_SET, Override, Word
from federation.core.told import text

MEMBERS = "members"
DECISION = "decision"
STEERED = "steered"
LEFT_OUT = "left_out"


def frame(name: str, document: bytes) -> bytes:
    """An event on the wire. The document is JSON on one line."""
    return b"event: " + name.encode("ascii") + b"\ndata: " + document + b"\n\n"


def without_ages(document: Mapping[str, Any]) -> dict[str, Any]:
    """The members document as far as it changes by more than the time that goes by."""
    return {**document, "members": [_ageless(member) for member in document["members"]]}


def _ageless(member: Mapping[str, Any]) -> dict[str, Any]:
    signals = {
        name: {key: value for key, value in signal.items() if key != "age"}
        for name, signal in member["signals"].items()
    }
    return {**member, "signals": signals}


def left_out(decisions: int = 0, events: int = 0) -> dict[str, int]:
    """What a listener was not told: `decisions` as there were too many, `events` as it read too slowly."""
    return {"decisions": decisions, "events": events}


def steered(fact: Steered) -> dict[str, Any]:
    """What an operator set, for those who may know who it was."""
    return {
        "at": round(fact.at, 3),
        "member": fact.member,
        "by": text(fact.by),
        "before": _override(fact.before),
        "after": _override(fact.after),
        "reason": text(fact.reason),
    }


def _override(override: Override) -> dict[str, Any] | None:
    if override == NOTHING_SET:
        return None
    weighted, drained = override.weighted, override.drained
    return {
        "weight": None if weighted is None else {"value": override.weight, **_word(weighted)},
        "drained": None if drained is None else _word(drained),
    }


def _word(word: Word) -> dict[str, Any]:
    return {"by": text(word.by), "reason": text(word.reason), "at": word.at, "until": word.until}
