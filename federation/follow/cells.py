"""Somebody else's JSON as cells of a table: what is missing or odd is an empty one, and nothing steers the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from federation.follow.display import strip_terminal_codes

Told = dict[str, Any]
# Characters that a narrow terminal must not fold.
WHOLE = {"Member": 8, "State": 10, "Launches": 8, "Per launch": 10}


def table(*columns: str) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", min_width=WHOLE.get(column))
    return made


def cell(value: Any) -> Text:
    if isinstance(value, bool | None):
        return Text()
    if isinstance(value, int | float):
        return Text(f"{value:.3g}" if isinstance(value, float) else str(value))
    return strip_terminal_codes(" ".join(str(value).split()))


def percent(share: Any) -> Text:
    return Text(f"{100 * share:.0f} %") if isinstance(share, int | float) else Text()


def as_dicts(told: Any) -> list[Told]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def as_dict(told: Any) -> Told:
    return told if isinstance(told, dict) else {}
