"""Days and months of the calendar in UTC, from seconds since the epoch. Reads no clock.

The arithmetic of the civil calendar is Howard Hinnant's ("chrono-Compatible Low-Level Date Algorithms", 2013): years
begin in March, so that the leap day is the last one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DAY = 86400.0  # seconds
_ERA = 146_097  # days of 400 years
_EPOCH = 719_468  # days from 0000-03-01 to 1970-01-01
_DATE = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Month:
    """`start` and `end` are seconds since the epoch; the end is the start of the next one."""

    name: str  # such as 2026-11
    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start

    @property
    def days(self) -> int:
        return round(self.length / DAY)

    def gone(self, now: float) -> float:
        """The share of it that has gone by, from 0 to 1."""
        return min(1.0, max(0.0, (now - self.start) / self.length))


def day_of(at: float) -> int:
    """The number of the day that holds this moment; the epoch's first day is 0."""
    return int(at // DAY)


def month_of(at: float) -> Month:
    """The month that holds this moment."""
    year, month, _ = _civil(day_of(at))
    return _month(year, month)


def month_named(name: str) -> Month:
    """The month of a name such as 2026-11. Raises ValueError for what is none."""
    found = _DATE.fullmatch(name)
    if found is None or found[3] is not None or not 1 <= int(found[2]) <= 12:
        raise ValueError(f"{name!r} is no month, such as 2026-11")
    return _month(int(found[1]), int(found[2]))


def day_name(day: int) -> str:
    """The date of a day, such as 2026-11-26."""
    return "{:04}-{:02}-{:02}".format(*_civil(day))


def moment(at: float) -> str:
    """The second that holds this moment, such as 2026-11-26T13:04:05+00:00."""
    minutes, second = divmod(int(at // 1) - day_of(at) * int(DAY), 60)
    hour, minute = divmod(minutes, 60)
    return f"{day_name(day_of(at))}T{hour:02}:{minute:02}:{second:02}+00:00"


def day_named(name: str) -> int:
    """The day of a date. Raises ValueError for what is none."""
    found = _DATE.fullmatch(name)
    if found is None or found[3] is None:
        raise ValueError(f"{name!r} is no date, such as 2026-11-26")
    day = _days(int(found[1]), int(found[2]), int(found[3]))
    if day_name(day) != name:
        raise ValueError(f"{name!r} is no date, such as 2026-11-26")
    return day


def _month(year: int, month: int) -> Month:
    after = (year + 1, 1) if month == 12 else (year, month + 1)
    return Month(f"{year:04}-{month:02}", _days(year, month, 1) * DAY, _days(*after, 1) * DAY)


def _days(year: int, month: int, day: int) -> int:
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * _ERA + of_era * 365 + of_era // 4 - of_era // 100 + of_year - _EPOCH


def _civil(day: int) -> tuple[int, int, int]:
    era, of_era = divmod(day + _EPOCH, _ERA)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1
