from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.cost_exports import Period
from federation.core.costs import (
    Books,
    between,
    daily,
    figures,
    flat,
    learn,
    monthly_periods,
    spending,
    spent,
)
from federation.core.ledger import Account, Served, document, read, session_hours
from federation.core.model import MemberCosts
from federation.core.months import DAY, month_named

OCTOBER, NOVEMBER = month_named("2026-10"), month_named("2026-11")
served = st.builds(
    Served,
    *(st.integers(0, 10**6) for _ in range(2)),
    st.floats(0, 1e6),
    st.integers(0, 10**6),
    st.floats(0, 1e6),
)
names = st.text(st.characters(codec="utf-8"), max_size=10)


def each_day(cost: float, first: int, last: int) -> tuple[Period, ...]:
    start = NOVEMBER.start
    return tuple(Period(start + day * DAY, start + (day + 1) * DAY, cost) for day in range(first, last))


@given(st.floats(0, 40), st.floats(0, 40), st.floats(0, 40))
def test_costs_of_parts_are_the_cost_of_the_whole(one: float, two: float, three: float) -> None:
    start, middle, end = (NOVEMBER.start + day * DAY for day in sorted((one, two, three)))
    periods = (Period(NOVEMBER.start - DAY, NOVEMBER.end, 31.0), *each_day(2.0, 3, 9))
    for cost in (lambda a, b: between(periods, a, b), lambda a, b: flat(300.0, a, b)):
        assert cost(start, middle) + cost(middle, end) == pytest.approx(cost(start, end), abs=1e-6)


@given(
    st.lists(
        st.builds(
            lambda start, length: Period(start, start + length, 5.0), st.floats(0, 9e5), st.floats(1, 9e5)
        )
    )
)
def test_the_cost_of_each_day_is_that_of_its_time(periods: list[Period]) -> None:
    for day, cost in daily(periods, 2, 12).items():
        assert cost == pytest.approx(between(periods, day * DAY, (day + 1) * DAY), abs=1e-9)


def test_a_monthly_figure_is_spread_evenly_over_its_month() -> None:
    assert flat(300.0, NOVEMBER.start, NOVEMBER.end) == pytest.approx(300)
    assert flat(300.0, NOVEMBER.start, NOVEMBER.start + 3 * DAY) == pytest.approx(30)
    assert flat(310.0, OCTOBER.end - DAY, NOVEMBER.start) == pytest.approx(10)


def test_exports_count_where_they_tell_and_the_figure_elsewhere() -> None:
    now = NOVEMBER.start + 10 * DAY
    plain = Books(MemberCosts(monthly=300.0), (), Account())
    assert spent(plain, NOVEMBER, now) == (pytest.approx(100), 0)
    both = Books(MemberCosts(monthly=300.0), each_day(2.0, 2, 7), Account())
    assert spent(both, NOVEMBER, now) == (pytest.approx(2 * 10 + 5 * 2 + 3 * 10), 0)
    assert spent(Books(None, each_day(2.0, 2, 7), Account()), NOVEMBER, now) == (pytest.approx(10), 0)
    assert spent(Books(None, (), Account()), NOVEMBER, now) == (None, 0)


def test_after_the_last_export_costs_are_estimated_as_launches_made_them() -> None:
    account = Account()
    for day in range(10):
        account.add(Served(launches=100 + 20 * (day % 3), whole=200), NOVEMBER.start + day * DAY)
    paid = [
        Period(NOVEMBER.start + day * DAY, NOVEMBER.start + (day + 1) * DAY, 1.0 + 0.2 * (day % 3))
        for day in range(8)
    ]
    books = Books(MemberCosts(cap=20.0), paid, account)
    now = NOVEMBER.start + 9.5 * DAY  # all of the present day came in its first half
    cost, estimated = spent(books, NOVEMBER, now)
    assert estimated == pytest.approx(1.4 + 1.0, rel=0.02)
    assert cost == pytest.approx(sum(one.cost for one in paid) + estimated)
    told = figures("alpha", books, NOVEMBER, now)
    assert told.told_until == NOVEMBER.start + 8 * DAY
    assert told.per_launch == pytest.approx(0.01, rel=0.02) and told.per_session_hour is None
    found = spending(books, NOVEMBER, now, 0.5)
    assert found is not None and found.variable + found.fixed == pytest.approx(0.01 * 300 * 30, rel=0.1)


def test_days_before_the_ledger_say_nothing_of_what_a_launch_costs() -> None:
    account = Account()
    account.add(Served(launches=5), NOVEMBER.start + 8 * DAY)
    assert learn(Books(None, each_day(2.0, 0, 10), account), NOVEMBER.start + 10 * DAY) is None
    assert learn(Books(None, (), account), NOVEMBER.start + 10 * DAY) is None


def test_a_figure_is_published_for_months_that_are_over() -> None:
    account = Account()
    for month in (OCTOBER, NOVEMBER):
        account.add(Served(launches=1), month.start)
    books = Books(MemberCosts(monthly=31.0), (), account)
    assert list(monthly_periods(books, NOVEMBER.start + 1)) == [Period(OCTOBER.start, OCTOBER.end, 31.0)]
    assert not list(monthly_periods(Books(books.costs, each_day(1.0, 0, 1), account), NOVEMBER.start + 1))


@given(st.integers(0, 500), st.floats(0, 1000))
def test_a_gap_in_the_samples_counts_nothing(used: int, seconds: float) -> None:
    hours = session_hours(used, seconds)
    assert hours == (used * seconds / 3600 if seconds <= 30 else 0)
    assert session_hours(None, seconds) == 0 and session_hours(used, -seconds) == 0


@given(st.dictionaries(names, st.lists(st.tuples(served, st.integers(0, 800)), max_size=5), max_size=4))
def test_a_ledger_is_read_as_it_was_written(told: dict[str, list[tuple[Served, int]]]) -> None:
    accounts = {name: Account() for name in told}
    for name, entries in told.items():
        for one, day in sorted(entries, key=lambda entry: entry[1]):
            accounts[name].add(one, OCTOBER.start + day * DAY)
            assert len(accounts[name].days) <= 62
    found, since = read(document(accounts, 7.0))
    assert since == 7.0 and found.keys() == accounts.keys()
    for name, account in accounts.items():
        for month, one in account.months.items():
            again = found[name].month(month)
            assert (again.launches, again.redirected, again.builds) == (
                one.launches,
                one.redirected,
                one.builds,
            )
            assert again.session_hours == pytest.approx(one.session_hours, abs=1e-5)
        assert found[name].days.keys() == account.days.keys()
        assert found[name].whole.taken == sum(one.taken for one, _ in told[name])


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"version": 2},
        {"version": 1, "since": 1},
        {"version": 1, "since": -1, "members": {}},
        {"version": 1, "since": 1, "members": {"a": None}},
        {"version": 1, "since": 1, "members": {"a": {"months": {"2026-13": {"launches": 1}}, "days": {}}}},
        {"version": 1, "since": 1, "members": {"a": {"months": {"2026-11": {"launches": -1}}, "days": {}}}},
        {"version": 1, "since": 1, "members": {"a": {"months": {"2026-11": [1]}, "days": {}}}},
        {"version": 1, "since": 1, "members": {"a": {"months": {}, "days": {"2026-11-31": {"launches": 1}}}}},
    ],
)
def test_what_is_no_ledger_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"ledger|expected|is no"):
        read(document)
