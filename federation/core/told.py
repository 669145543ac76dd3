"""What a member tells of itself in JSON, cut down to what every page and program can show. Judges nothing.

Anybody's JSON may hold text that no encoder takes (lone surrogates), numbers that no counter takes, and more
of either than a page can show; one such answer must never spoil what is told of the other members.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_KEYS = 50
LONGEST_KEY = 100
LONGEST_TEXT = 200
LARGEST_NUMBER = 2**53 - 1  # whole in JavaScript too
DEEPEST = 6  # a front door among the members tells its own members' versions
UNREADABLE = "…"


def bounded(told: Mapping[Any, Any], deepest: int = DEEPEST) -> dict[str, Any]:
    """The mapping with at most so many keys, lengths and levels; what goes beyond is shortened or left out."""
    return {
        text(str(key), LONGEST_KEY): _value(value, deepest) for key, value in list(told.items())[:MOST_KEYS]
    }


def text(words: str, longest: int = LONGEST_TEXT) -> str:
    """The words on one line, without what steers a terminal or cannot be encoded."""
    return "".join(filter(str.isprintable, words[:longest]))


def number(value: object) -> int | float | None:
    """A number that fits wherever numbers go, else None. A bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= LARGEST_NUMBER else None  # no NaN and no infinity either


def _value(value: Any, deepest: int) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return text(value)
        case int() | float():
            return number(value)
        case dict() if deepest > 1:
            return bounded(value, deepest - 1)
        case list() if deepest > 1:
            return [_value(item, deepest - 1) for item in value[:MOST_KEYS]]
        case _:
            return UNREADABLE
