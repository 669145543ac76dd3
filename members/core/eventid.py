"""Names of events on the wire, `<launch>.<number>`. Knows no launch.

The launch part guards the secret of a session: whoever knows it may read the whole launch. It is drawn at
random, compared as an opaque key, and belongs in no log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_EVENT_ID = re.compile(r"([A-Za-z0-9_-]{16,64})(?:\.(\d{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventId:
    """Event `number` of a launch, from 1; 0 stands for the moment before the first."""

    launch: str
    number: int

    def __str__(self) -> str:
        return f"{self.launch}.{self.number}"


def parse_event_id(text: str) -> EventId | None:
    """What a `Last-Event-ID` header says; None when it is none of our ids. A bare launch means its start."""
    match = _EVENT_ID.fullmatch(text.strip())
    if match is None:
        return None
    return EventId(match[1], int(match[2] or 0))
