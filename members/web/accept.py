"""Reading of an Accept header. Knows no request."""

from __future__ import annotations

import re

EVENT_STREAM = "text/event-stream"


def accepts_events(header: str) -> bool:
    """Whether an Accept header names event streams, among any other types, and does not refuse them."""
    for offer in header.split(","):
        kind, *parameters = (part.strip().lower() for part in offer.split(";"))
        # Some clients separate types by semicolons: the reference implementation splits there.
        if EVENT_STREAM in (kind, *parameters):
            return not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", parameter) for parameter in parameters)
    return False
