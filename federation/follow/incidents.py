"""What a front door tells of its incidents, for a terminal, and the report of one. Decides nothing.

The answers are somebody else's: what is missing or odd becomes an empty cell, and nothing steers the terminal.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from rich.console import Group, RenderableType
from rich.text import Text

from federation.follow.cells import Told, as_dict, as_dicts, cell, table
from federation.follow.display import strip_terminal_codes

LIST = "/federation/v1/incidents"


def incident_path(id: str) -> str:
    """Where one incident is told in full."""
    return f"{LIST}/{quote(id, safe='')}"


def incidents_table(answer: Told) -> RenderableType:
    """The answer of `/federation/v1/incidents`."""
    incidents = as_dicts(answer.get("incidents"))
    if not incidents:
        return Text("No incident is remembered.")
    made = table("Id", "What", "Cause", "Began (UTC)", "Lasted", "Met it", "Failed")
    for one in incidents:
        launches = as_dict(one.get("launches"))
        made.add_row(
            cell(one.get("id")),
            cell(one.get("title")),
            cell(str(one.get("cause") or "").replace("_", " ")),
            Text(_moment(one.get("began"))),
            Text(_lasted(one.get("began"), one.get("closed"))),
            cell(launches.get("affected")),
            cell(launches.get("failed")),
        )
    more = " There are more." if answer.get("next") else ""
    note = f"The report of one: binder-federation incidents ID.{more}"
    return Group(made, Text(note, style="dim"))


def report_text(answer: Told) -> str:
    """The Markdown in the answer of one incident."""
    told = answer.get("markdown")
    lines = told.splitlines() if isinstance(told, str) else ()
    return "\n".join(strip_terminal_codes(line).plain for line in lines)


def _moment(at: Any) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


def _lasted(began: Any, closed: Any) -> str:
    if closed is None:
        return "goes on"
    if not isinstance(began, int | float) or not isinstance(closed, int | float):
        return ""
    minutes = round(max(0.0, closed - began) / 60)
    return f"{minutes} min" if minutes else "< 1 min"
