"""The archive in figures, as tables for a terminal, as CSV and as JSON. Reads nothing."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO

from rich import box
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from federation.core.usage import Lengths, Report, Usage, figures
from federation.follow.display import strip_terminal_codes

OVERVIEW = ("member", "provider", "repository")
WIDTH = 10  # characters of the longest bar
NOT_TOLD = "–"
NOTE = (
    "Success: of launches that were ready or failed by a fault of the federation. "
    "Ready (from the click), waited (in line): seconds below which half of them are / 95 %."
)


def tables(report: Report, top: int) -> RenderableType:
    """One table for each grouping of the report, with its `top` rows."""
    if not report.whole.launches:
        return Text("No launches.")
    parts: list[RenderableType] = [_table(report, by, top) for by in report.groups]
    return Group(*parts, Text(NOTE, style="dim"))


def as_json(report: Report, by: str) -> str:
    """All rows of one grouping, and the whole."""
    rows = [figures(name, usage) for name, usage in report.rows(by)]
    return json.dumps({"by": by, "whole": figures("", report.whole), "rows": rows}, indent=2)


def as_csv(report: Report, by: str) -> str:
    """All rows of one grouping, under a line of names."""
    out = StringIO()
    names = [by, *list(figures("", report.whole))[1:]]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for name, usage in report.rows(by):
        _, *values = figures(name, usage).values()
        writer.writerow([_no_formula(name), *values])
    return out.getvalue()


def _no_formula(name: str) -> str:
    """Names are anybody's, and a spreadsheet would reckon with one that begins so."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name


def _table(report: Report, by: str, top: int) -> Table:
    rows = list(report.rows(by))
    shown = rows[-top:] if by == "day" else rows[:top]
    most = max(usage.launches for _, usage in shown)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_footer=True)
    table.add_column(by.capitalize(), footer="All", overflow="fold", min_width=10)
    table.add_column("", no_wrap=True)
    columns = [(head, cell) for head, cell in COLUMNS if cell(report.whole, report.whole) != NOT_TOLD]
    for head, cell in columns:
        table.add_column(head, footer=cell(report.whole, report.whole), justify="right", no_wrap=True)
    for name, usage in shown:
        bar = Bar(most, 0, usage.launches, width=WIDTH, color="cyan")
        table.add_row(strip_terminal_codes(name), bar, *(cell(usage, report.whole) for _, cell in columns))
    if len(rows) > len(shown):
        table.caption = f"{len(shown)} of {len(rows)}; --top N shows more"
    return table


def _share(usage: Usage, whole: Usage) -> str:
    return _percent(usage.launches / whole.launches)


def _percent(share: float | None) -> str:
    return NOT_TOLD if share is None else f"{100 * share:.1f} %"


def _lengths(lengths: Lengths) -> str:
    return (
        f"{_seconds(lengths.quantile(0.5))} / {_seconds(lengths.quantile(0.95))}"
        if lengths.total
        else NOT_TOLD
    )


def _seconds(value: float | None) -> str:
    return NOT_TOLD if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


COLUMNS: tuple[tuple[str, Callable[[Usage, Usage], str]], ...] = (
    ("Launches", lambda usage, whole: f"{usage.launches:,}"),
    ("Share", _share),
    ("Success", lambda usage, whole: _percent(usage.success)),
    ("Ready", lambda usage, whole: _lengths(usage.ready)),
    ("Waited", lambda usage, whole: _lengths(usage.waited)),
)
