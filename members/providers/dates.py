"""Times of change, as CKAN and HydroShare write them. Knows no clock."""

from __future__ import annotations

from datetime import UTC, datetime

from members.core.model import ResolveError


def epoch(service: str, moment: object) -> int:
    """Whole seconds since 1970 of `2024-04-02T02:10:31.5...`, which is UTC whatever follows. Raises ResolveError."""
    try:
        if not isinstance(moment, str):
            raise ValueError("no text")
        return int(datetime.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise ResolveError(f"{service}'s answer has no time of the last change") from error
