from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.months import day_name, day_named, day_of, month_named, month_of
from federation.core.months import moment as shown

moments = st.datetimes(datetime(1900, 1, 1), datetime(2400, 1, 1), timezones=st.just(UTC))


@given(moments)
def test_days_and_months_are_those_of_the_calendar(moment: datetime) -> None:
    at = moment.timestamp()
    assert day_name(day_of(at)) == f"{moment:%Y-%m-%d}"
    assert day_named(f"{moment:%Y-%m-%d}") == day_of(at)
    assert shown(at) == f"{moment.replace(microsecond=0).isoformat()}"
    month = month_of(at)
    assert month.name == f"{moment:%Y-%m}" and month == month_named(month.name)
    assert month.start == datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()
    assert month.start <= at < month.end and 0 <= month.gone(at) < 1
    assert month_of(month.end).start == month.end


@pytest.mark.parametrize("name", ["2026-02-30", "2026-13-01", "2026-1-1", "2026-01", "", "2026-01-01T00"])
def test_what_is_no_date_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        day_named(name)


@pytest.mark.parametrize("name", ["2026-00", "2026-13", "2026-01-01", "26-01", ""])
def test_what_is_no_month_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        month_named(name)
