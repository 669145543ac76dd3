"""Times and shares in words, as all pages say them. Knows nothing of what they are of."""

from __future__ import annotations

from datetime import UTC, datetime

UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def age(seconds: float) -> str:
    """A length of time in one unit, rounded down: `3 minutes`."""
    for size, unit in UNITS:
        count = int(max(seconds, 0) // size)
        if count:
            return f"{count} {unit}" + ("s" if count > 1 else "")
    return "a moment"


def number_of(count: int, noun: str, nouns: str = "") -> str:
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"


def percent(share: float | None) -> str:
    """Rounded down, so that only what is whole is called so."""
    return "not known" if share is None else f"{int(share * 1000 + 1e-9) / 10:g} %"


def clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def date(day: int) -> str:
    """The day with this number since 1970-01-01."""
    return datetime.fromtimestamp(day * 86400, UTC).date().isoformat()


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
