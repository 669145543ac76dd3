"""What is told on the live stream of events: the frame of an event, and what counts as news. Knows no listener.

The frame is that of the event stream format of the HTML standard, with a name and one line of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federation.core.audit import told
from federation.core.facts import Steered

MEMBERS = "members"
DECISION = "decision"
STEERED = "steered"
INCIDENT = "incident"
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
        "by": fact.by,
        "before": told(fact.before),
        "after": told(fact.after),
        "reason": fact.reason,
    }
