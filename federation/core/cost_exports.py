"""A provider's cost exports, as mybinder.org reads them: the text of a file as periods with their costs. Knows no file.

Lines of one file that tell of the same time are summed, and so are files: each export tells what was charged since the
one before, often with late lines for days of which earlier files told too. A corrected export must therefore take
the place of the wrong one, under its name. Only a file that is another one's copy to the byte counts once: that is a
download made twice.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from federation.core.months import moment
from federation.core.told import number, text

COLUMNS = ("Start Time", "End Time", "Cost")
TIMES = (("start_time", "startTime"), ("end_time", "endTime"))  # the newer key and the older one
EXPECTED_TIME = "a time such as 2026-11-26T00:00:00+00:00"
EXPECTED_LIST = "a list of objects with cost.amount, start_time and end_time"

Time = Callable[[str], float]  # seconds since the epoch; raises ValueError


@dataclass(frozen=True, slots=True)
class Period:
    """What the time from `start` to `end` cost, in seconds since the epoch and the configured currency. A credit is
    below 0."""

    start: float
    end: float
    cost: float


class BadExport(ValueError):
    """A file that cannot be counted. `where` is a line or an entry of it, `value` what stands there."""

    def __init__(self, where: str, key: str, value: object, expected: str) -> None:
        super().__init__(where, key, value, expected)
        self.where, self.key, self.value, self.expected = where, key, text(str(value), 80), expected

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: {self.value!r}, expected {self.expected}"


def from_csv(told: str, time: Time) -> tuple[Period, ...]:
    """The periods of a `report-*` file. Raises BadExport."""
    reader = csv.DictReader(io.StringIO(told))
    try:
        names = reader.fieldnames or ()
        for column in COLUMNS:
            if column not in names:
                raise BadExport("line 1", "columns", ", ".join(names), f"a column {column}")
        return summed(_line(reader.line_num, row, time) for row in reader)
    except csv.Error as error:
        raise BadExport(f"line {reader.line_num}", "line", error, "comma-separated values") from error


def from_json(told: str, time: Time) -> tuple[Period, ...]:
    """The periods of a `billing-*` file. Raises BadExport."""
    try:
        items = json.loads(told)
    except json.JSONDecodeError as error:
        raise BadExport(f"line {error.lineno}", "JSON", error.msg, EXPECTED_LIST) from error
    except (ValueError, RecursionError) as error:
        raise BadExport("line 1", "JSON", error, EXPECTED_LIST) from error
    if not isinstance(items, list):
        raise BadExport("line 1", "JSON", type(items).__name__, EXPECTED_LIST)
    return summed(_entry(f"entry {place}", item, time) for place, item in enumerate(items, 1))


def summed(periods: Iterable[Period]) -> tuple[Period, ...]:
    """One period for each span of time, the earliest first."""
    totals: Counter[tuple[float, float]] = Counter()
    for period in periods:
        totals[period.start, period.end] += period.cost  # type: ignore[assignment]
    return tuple(Period(start, end, cost) for (start, end), cost in sorted(totals.items()))


def entries(periods: Iterable[Period]) -> Iterator[dict[str, Any]]:
    """The lines of mybinder.org's cloud-costs.jsonl, the earliest first."""
    for one in summed(periods):
        yield {
            "version": 1,
            "start_time": moment(one.start),
            "end_time": moment(one.end),
            "cost": round(one.cost, 6),
        }


def _line(line: int, row: dict[str, str | None], time: Time) -> Period:
    start, end, cost = (row[column] or "" for column in COLUMNS)
    where = f"line {line}"
    try:
        amount = number(float(cost))
    except ValueError:
        amount = None
    if amount is None:
        raise BadExport(where, COLUMNS[2], cost, "a number")
    return _period(where, COLUMNS[:2], (start, end), amount, time)


def _entry(where: str, item: object, time: Time) -> Period:
    if not isinstance(item, dict):
        raise BadExport(where, "entry", item, "an object")
    cost = item.get("cost")
    told = cost.get("amount") if isinstance(cost, dict) else None
    try:
        amount = number(float(told)) if isinstance(told, str | int | float) else None
    except (ValueError, OverflowError):
        amount = None
    if amount is None:
        raise BadExport(where, "cost.amount", told, "a number")
    found = tuple(next((key for key in keys if key in item), keys[0]) for keys in TIMES)
    return _period(where, found, tuple(item.get(key) for key in found), amount, time)


def _period(where: str, keys: tuple[str, ...], told: tuple[object, ...], cost: float, time: Time) -> Period:
    moments = []
    for key, value in zip(keys, told, strict=True):
        try:
            moments.append(time(value if isinstance(value, str) else ""))
        except (ValueError, OverflowError) as error:
            raise BadExport(where, key, value, EXPECTED_TIME) from error
    start, end = moments
    if end <= start:
        raise BadExport(where, keys[1], told[1], f"a time after {keys[0]} ({told[0]})")
    return Period(start, end, cost)
