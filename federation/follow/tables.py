"""What a front door tells of its members, costs and decisions, as tables for a terminal. Asks nothing.

The answers are somebody else's: what is missing or odd becomes an empty cell, and nothing steers the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from federation.follow.cells import Told
from federation.follow.cells import as_dict as _dict
from federation.follow.cells import as_dicts as _dicts
from federation.follow.cells import cell as _cell
from federation.follow.cells import percent as _percent
from federation.follow.cells import table as _table


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


def _of_both(part: Text, whole: Text) -> Text:
    return Text.assemble(part if part.plain else "–", " of ", whole)
