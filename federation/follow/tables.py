"""What a front door tells of its members, costs and decisions, as tables for a terminal. Asks nothing.

The answers are somebody else's: what is missing or odd becomes an empty cell, and nothing steers the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from federation.follow.display import strip_terminal_codes

Told = dict[str, Any]
COSTS = (
    "In {currency}, in {month} until now. Launches: ready, and handed over after a plus. Hours: of sessions. "
    "Pace: the part of its weight that its budget leaves."
)
WHOLE = {
    "Member": 8,
    "State": 10,
    "Launches": 8,
    "Per launch": 10,
}  # characters that a narrow terminal must not fold


def members_table(answer: Told) -> RenderableType:
    """The answer of `/federation/v1/members`."""
    table = _table("Member", "State", "Weight", "Share", "Load", "Seats", "Good", "Bad", "Reason")
    for one in _dicts(answer.get("members")):
        share, tally = _dict(one.get("share")), _dict(one.get("tally"))
        table.add_row(
            _cell(one.get("name")),
            _cell(one.get("state")),
            _of_both(_cell(one.get("effective_weight")), _cell(one.get("weight"))),
            _of_both(_percent(share.get("actual")), _percent(share.get("expected"))),
            _cell(one.get("load")),
            _cell(one.get("seats")),
            _cell(tally.get("good")),
            _cell(tally.get("bad")),
            _cell(one.get("reason")),
        )
    note = "Weight: effective of configured. Share of launches: of the last minutes, of expected."
    return Group(table, Text(note, style="dim"))


def costs_table(answer: Told) -> RenderableType:
    """The answer of `/federation/v1/costs`."""
    table = _table("Member", "Cost", "Cap", "Launches", "Hours", "Builds", "Per launch", "Per hour", "Pace")
    reasons = []
    for one in _dicts(answer.get("members")):
        table.add_row(
            _cell(one.get("name")),
            _money(one.get("cost"), 2),
            _money(one.get("cap"), 2),
            _sum(one),
            _money(one.get("session_hours"), 1),
            _cell(one.get("builds")),
            _money(one.get("per_launch"), 4),
            _money(one.get("per_session_hour"), 4),
            _percent(one.get("pace")),
        )
        if reason := _cell(one.get("pace_reason")).plain:
            reasons.append(Text.assemble(_cell(one.get("name")), ": ", reason))
    note = COSTS.format(currency=_cell(answer.get("currency")), month=_cell(answer.get("month")))
    return Group(table, *reasons, Text(note, style="dim"))


def explanation(answer: Told) -> RenderableType:
    """The answer of `/federation/v1/explain`."""
    candidates = _dicts(answer.get("candidates"))
    where = candidates[0].get("name") if candidates else "no member"
    parts: list[RenderableType] = [
        Text.assemble("Goes to ", _cell(where), ": ", _cell(answer.get("why")), ".")
    ]
    asked = _dict(answer.get("asked"))
    if asked:
        parts.append(_cell(asked.get("why")))
    if candidates:
        parts.append(_candidates(candidates))
    exclusions = _dicts(answer.get("exclusions"))
    if exclusions:
        table = _table("Not a candidate", "Reason")
        for one in exclusions:
            table.add_row(_cell(one.get("name")), _cell(one.get("reason")))
        parts.append(table)
    return Group(*parts)


def _candidates(candidates: list[Told]) -> Table:
    table = _table(
        "", "Member", "State", "Score", "Weight", "Load", "Capacity", "Good", "Bad", "Signals", "Note"
    )
    for place, one in enumerate(candidates, 1):
        tally = _dict(one.get("tally"))
        table.add_row(
            str(place),
            _cell(one.get("name")),
            _cell(one.get("state")),
            _cell(one.get("score")),
            _of_both(_cell(one.get("effective_weight")), _cell(one.get("weight"))),
            _cell(one.get("load")),
            _cell(one.get("capacity")),
            _cell(tally.get("good")),
            _cell(tally.get("bad")),
            Text("\n").join(_signals(_dict(one.get("signals")))),
            _cell(one.get("note")),
        )
    return table


def _signals(signals: Told) -> Iterator[Text]:
    for name, signal in signals.items():
        told = _dict(signal)
        age = _cell(told.get("age"))
        yield Text.assemble(_cell(name), " ", _cell(told.get("value")), (f" ({age.plain} s ago)", "dim"))


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", min_width=WHOLE.get(column))
    return table


def _of_both(part: Text, whole: Text) -> Text:
    return Text.assemble(part if part.plain else "–", " of ", whole)


def _money(value: Any, digits: int) -> Text:
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    return Text(f"{value:.{digits}f}") if whole else Text("–")


def _sum(one: Told) -> Text:
    """Launches that were ready and, where there were any, those handed over."""
    handed = one.get("redirected")
    launches = _cell(one.get("launches"))
    return Text.assemble(launches, f" + {handed}") if isinstance(handed, int) and handed > 0 else launches


def _percent(share: Any) -> Text:
    return Text(f"{100 * share:.0f} %") if isinstance(share, int | float) else Text()


def _cell(value: Any) -> Text:
    if isinstance(value, bool | None):
        return Text()
    if isinstance(value, int | float):
        return Text(f"{value:.3g}" if isinstance(value, float) else str(value))
    return strip_terminal_codes(" ".join(str(value).split()))


def _dicts(told: Any) -> list[Told]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _dict(told: Any) -> Told:
    return told if isinstance(told, dict) else {}
