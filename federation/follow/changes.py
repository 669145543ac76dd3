"""What operators set and changed, as lines and tables for a terminal. Asks nothing.

The answers are somebody else's, as in `federation.follow.tables`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from federation.follow.cells import Told, as_dict, as_dicts, cell, table


def audit_table(answer: Told) -> RenderableType:
    """The answer of `/federation/v1/audit`."""
    shown = table("Id", "When", "Who", "Member", "Before", "After", "Reason")
    for one in as_dicts(answer.get("entries")):
        shown.add_row(
            cell(one.get("id")),
            moment(one.get("at")),
            who(one),
            cell(one.get("member")),
            setting(one.get("before")),
            setting(one.get("after")),
            cell(one.get("reason")),
        )
    return shown


def changed_line(entry: Told) -> Text:
    """One change as a sentence."""
    line = Text.assemble(who(entry), " at ", moment(entry.get("at")), ": ", setting(entry.get("after")))
    return _with_reason(line, entry.get("reason"))


def set_lines(answer: Told) -> Iterator[Text]:
    """What is set for members, of the answer of `/federation/v1/members`: one line each."""
    for one in as_dicts(answer.get("members")):
        yield from set_line(one)


def set_line(member: Told) -> Iterator[Text]:
    """What is set for this member: a line for each part, with who set it and why."""
    override = as_dict(member.get("override"))
    for part in ("weight", "drained"):
        told = as_dict(override.get(part))
        if told:
            by = Text.assemble(" by ", cell(told.get("by"))) if told.get("by") else Text()
            line = Text.assemble(cell(member.get("name")), ": ", setting({part: told}), by)
            yield _with_reason(line, told.get("reason"))


def as_configured_line(member: Told) -> Text:
    """That nothing is set for this member any more."""
    return Text.assemble(cell(member.get("name")), ": as configured, weight ", _figure(member.get("weight")))


def setting(override: Any) -> Text:
    """What is set, in few words."""
    told = as_dict(override)
    weight, drained = as_dict(told.get("weight")), as_dict(told.get("drained"))
    parts = []
    if weight:
        parts.append(Text.assemble("weight ", _figure(weight.get("value")), _until(weight)))
    if drained:
        parts.append(Text.assemble("drained", _until(drained)))
    return Text(", ").join(parts) if parts else Text("as configured")


def who(entry: Told) -> Text:
    """The token's name, and what its holder said of who that is."""
    name, by = cell(entry.get("who")), cell(entry.get("by"))
    if not name.plain:
        return Text("–")
    return name if by.plain in ("", name.plain) else Text.assemble(name, " (", by, ")")


def moment(at: Any) -> Text:
    """A time in seconds since the epoch as a local one."""
    try:
        return Text(datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S"))
    except (TypeError, ValueError, OverflowError, OSError):
        return Text()


def _figure(weight: Any) -> Text:
    return Text(f"{weight:g}") if isinstance(weight, int | float) else cell(weight)


def _until(told: Told) -> Text:
    until = moment(told.get("until"))
    return Text.assemble(" until ", until) if until.plain else Text()


def _with_reason(line: Text, reason: Any) -> Text:
    words = cell(reason)
    return Text.assemble(line, ": ", words) if words.plain else line
