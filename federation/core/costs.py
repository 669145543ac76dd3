"""What a member costs: this month, for a launch, for an hour of a session. Knows no file and no clock.

A provider's exports tell best. From the end of the last export on, costs are estimated as launches made them before;
where that is not known, and before the first export, the plain monthly figure counts, evenly over its month.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from federation.core.cost_exports import Period
from federation.core.ledger import Account, Served
from federation.core.model import MemberCosts
from federation.core.months import DAY, Month, day_of, month_named, month_of
from federation.core.pacing import DAYS, LEARNING, LEAST, Behaviour, Spending, behaviour


@dataclass(frozen=True, slots=True)
class Figures:
    """One member in one month. `cost` includes `estimated`, which is of the time since `told_until`; None when nothing
    is known. Money is in the configured currency."""

    name: str
    served: Served
    cost: float | None = None
    estimated: float = 0.0
    told_until: float | None = None
    cap: float | None = None

    @property
    def per_launch(self) -> float | None:
        """Of launches that were ready or handed over; None without any."""
        return _each(self.cost, self.served.taken)

    @property
    def per_session_hour(self) -> float | None:
        return _each(self.cost, self.served.session_hours)


@dataclass(frozen=True, slots=True)
class Books:
    """All that tells of one member's costs. `periods` are what its exports tell."""

    costs: MemberCosts | None
    periods: Sequence[Period]
    account: Account

    @property
    def told_until(self) -> float | None:
        return max((period.end for period in self.periods), default=None)


def figures(name: str, books: Books, month: Month, now: float) -> Figures:
    """What this month has cost until now."""
    served = books.account.month(month.name)
    cost, estimated = spent(books, month, now)
    cap = None if books.costs is None else books.costs.cap
    return Figures(name, served, cost, estimated, books.told_until, cap)


def spent(books: Books, month: Month, now: float) -> tuple[float | None, float]:
    """What this month has cost until now, and how much of that is estimated."""
    monthly = None if books.costs is None else books.costs.monthly
    end, until = min(now, month.end), books.told_until
    if until is None:
        return (None if monthly is None else flat(monthly, month.start, end)), 0.0
    since = min(period.start for period in books.periods)
    told = between(books.periods, month.start, end) + flat(monthly or 0.0, month.start, min(since, end))
    rest = max(until, month.start)
    if rest >= end:
        return told, 0.0
    learned = learn(books, now)
    if learned is None:
        return told + flat(monthly or 0.0, rest, end), 0.0
    launches = books.account.between(rest, end, now, lambda served: served.taken)
    estimated = learned.fixed * (end - rest) / DAY + learned.per_launch * launches
    return told + estimated, estimated


def spending(books: Books, month: Month, now: float, share: float) -> Spending | None:
    """Where the month stands against the cap; None without a cap, or without knowing what costs."""
    cost, _ = spent(books, month, now)
    if books.costs is None or books.costs.cap is None or cost is None:
        return None
    learned = learn(books, now)
    cap, gone = books.costs.cap, month.gone(now)
    if learned is None:
        monthly = books.costs.monthly
        return None if monthly is None else Spending(cap, cost, gone, monthly, 0.0, share)
    launches = books.account.between(now - DAY, now, now, lambda served: served.whole)
    fixed, variable = learned.fixed * month.days, learned.per_launch * launches * month.days
    return Spending(cap, cost, gone, fixed, variable, share, LEAST if learned.sure else LEARNING)


def learn(books: Books, now: float) -> Behaviour | None:
    """How costs follow launches, from the days of which both are known whole."""
    until, days = books.told_until, books.account.days
    if until is None or not days:
        return None
    first = max(min(days) + 1, day_of(min(period.start for period in books.periods) + DAY - 1))
    last = min(day_of(until), day_of(now)) - 1
    costs = daily(books.periods, max(first, last - DAYS + 1), last)
    return behaviour([(days[day].taken if day in days else 0, cost) for day, cost in costs.items()])


def daily(periods: Sequence[Period], first: int, last: int) -> dict[int, float]:
    """What each of these days cost, as `between` tells it."""
    costs = dict.fromkeys(range(first, last + 1), 0.0)
    for period in periods:
        rate = period.cost / (period.end - period.start)
        for day in range(max(first, day_of(period.start)), min(last, day_of(period.end)) + 1):
            common = min(period.end, (day + 1) * DAY) - max(period.start, day * DAY)
            costs[day] += rate * common
    return costs


def between(periods: Sequence[Period], start: float, end: float) -> float:
    """What this time cost by these periods, each spread evenly over its own time."""
    total = 0.0
    for period in periods:
        common = min(end, period.end) - max(start, period.start)
        if common > 0:
            total += period.cost * common / (period.end - period.start)
    return total


def flat(monthly: float, start: float, end: float) -> float:
    """What a monthly figure is for this time: each month's evenly over that month."""
    return sum(monthly * seconds / month.length for month, seconds in _months(start, end))


def monthly_periods(books: Books, now: float) -> Iterator[Period]:
    """The plain figure as a period for each month that is over and in the ledger, where no export tells of it."""
    if books.costs is None or not books.costs.monthly or books.periods:
        return
    this = month_of(now).name
    for name in books.account.months:
        if name < this:
            month = month_named(name)
            yield Period(month.start, month.end, books.costs.monthly)


def _months(start: float, end: float) -> Iterator[tuple[Month, float]]:
    while start < end:
        month = month_of(start)
        yield month, min(end, month.end) - start
        start = month.end


def _each(cost: float | None, count: float) -> float | None:
    return cost / count if cost is not None and count > 0 else None
