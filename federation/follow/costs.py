"""What a front door tells of costs, as a table for a terminal. Asks nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from federation.follow.cells import Told, as_dicts, cell, percent, table

NOTE = (
    "In {currency}, in {month} until now. Launches: ready, and handed over after a plus. Hours: of sessions. "
    "Pace: the part of its weight that its budget leaves."
)


def costs_table(answer: Told) -> RenderableType:
    """The answer of `/federation/v1/costs`."""
    made = table("Member", "Cost", "Cap", "Launches", "Hours", "Builds", "Per launch", "Per hour", "Pace")
    reasons = []
    for one in as_dicts(answer.get("members")):
        made.add_row(
            cell(one.get("name")),
            _money(one.get("cost"), 2),
            _money(one.get("cap"), 2),
            _sum(one),
            _money(one.get("session_hours"), 1),
            cell(one.get("builds")),
            _money(one.get("per_launch"), 4),
            _money(one.get("per_session_hour"), 4),
            percent(one.get("pace")),
        )
        if reason := cell(one.get("pace_reason")).plain:
            reasons.append(Text.assemble(cell(one.get("name")), ": ", reason))
    note = NOTE.format(currency=cell(answer.get("currency")), month=cell(answer.get("month")))
    return Group(made, *reasons, Text(note, style="dim"))


def _money(value: Any, digits: int) -> Text:
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    return Text(f"{value:.{digits}f}") if whole else Text("–")


def _sum(one: Told) -> Text:
    """Launches that were ready and, where there were any, those handed over."""
    handed = one.get("redirected")
    launches = cell(one.get("launches"))
    return Text.assemble(launches, f" + {handed}") if isinstance(handed, int) and handed > 0 else launches
