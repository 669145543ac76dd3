"""Budget pacing: what the law promises for any figures, and whole months of a federation with real ups and downs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi, sin
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.cost_exports import Period
from federation.core.costs import Books, learn, spending
from federation.core.ledger import Account, Served
from federation.core.model import MemberCosts, Pacing
from federation.core.months import DAY, Month, month_named
from federation.core.pacing import (
    DOUBLES,
    FEE,
    LEAST,
    MOST,
    PACED,
    SPENT,
    Spending,
    allowed,
    behaviour,
    glided,
    pace,
    would_be,
)

HOUR = 3600.0
NOVEMBER = month_named("2026-11")
money = st.floats(0, 1e6)
shares = st.floats(0, 0.999)
whole = st.floats(0, 1)
spendings = st.builds(Spending, st.floats(0.01, 1e6), money, whole, money, money, shares)


@given(spendings)
def test_a_factor_is_never_none_and_never_more_than_the_whole(now: Spending) -> None:
    assert LEAST <= pace(now).factor <= 1


@given(spendings, st.floats(0, 1e6))
def test_who_spent_more_is_not_sent_more(now: Spending, more: float) -> None:
    then = Spending(now.cap, now.spent + more, now.gone, now.fixed, now.variable, now.share)
    assert pace(then).factor <= pace(now).factor + 1e-9


@given(spendings)
def test_by_the_factor_the_member_spends_what_is_allowed(now: Spending) -> None:
    factor = pace(now).factor
    if not LEAST < factor < 1 or now.variable < now.fixed:
        return
    odds = factor * now.share / (1 - now.share)
    part = (odds / (1 + odds)) / now.share if now.share > 1e-6 else factor
    rate = allowed(now.cap, now.spent, now.gone)
    assert now.fixed + part * now.variable == pytest.approx(rate, rel=1e-3, abs=1e-3)


@given(st.floats(0.01, 1e6), money, whole)
def test_no_rate_is_far_above_the_mean(cap: float, spent: float, gone: float) -> None:
    assert 0 <= allowed(cap, spent, gone) <= MOST * cap


@given(st.floats(0.01, 1), st.floats(0.001, 0.999))
def test_the_share_without_a_factor_is_found_again(factor: float, share: float) -> None:
    odds = factor * share / (1 - share)
    assert would_be(odds / (1 + odds), factor) == pytest.approx(share)


@given(st.floats(LEAST, 1), st.floats(LEAST, 1), st.floats(0, 1e6))
def test_a_factor_glides_and_arrives(before: float, wanted: float, seconds: float) -> None:
    after = glided(before, wanted, seconds)
    most = 2 ** (seconds / DOUBLES) if seconds < 1e4 else 100
    assert before / most * 0.999 <= after <= before * most * 1.001
    assert abs(after - wanted) <= abs(before - wanted) + 1e-12
    assert after in (before, wanted) or abs(after - before) >= 0.05 * before
    for _ in range(12):
        after = glided(after, wanted, DOUBLES)
    assert after == pytest.approx(wanted, rel=0.06)
    assert wanted not in (LEAST, 1.0) or after == wanted


def test_a_fee_is_told_from_a_price_once_days_differ() -> None:
    alike = behaviour([(100.0, 50.0)] * 10)
    assert alike is not None and alike.per_launch == pytest.approx(0.5)
    differ = [(launches, 50.0) for launches in (100.0, 60.0, 20.0, 100.0, 10.0, 80.0, 30.0, 90.0)]
    assert not alike.sure
    fee = behaviour(differ)
    assert fee is not None and fee.fixed > 40 and fee.sure
    price = behaviour([(launches, launches / 2) for launches, _ in differ])
    assert price is not None and price.per_launch == pytest.approx(0.5) and price.fixed == pytest.approx(0)
    assert behaviour([(0.0, 50.0)] * 10) is None and behaviour([]) is None


def test_reasons_say_what_holds_it_back() -> None:
    assert pace(Spending(100, 100, 0.5, 0, 200, least=0.5)) == Pacing(0.5, SPENT)
    assert pace(Spending(100, 50, 0.5, 0, 200, 0.5)) == Pacing(pytest.approx(1 / 3), PACED)
    assert pace(Spending(100, 100, 0.5, 0, 200)) == Pacing(LEAST, SPENT)
    assert pace(Spending(100, 10, 0.5, 400, 1)) == Pacing(1.0, FEE)
    assert pace(Spending(100, 10, 0.5, 10, 80)) == Pacing()


@dataclass
class World:
    """A federation by the hour: the member's whole weight would bring it `share` of `demand` launches a day, by
    daytime, weekday and chance. Its provider exports each day at noon of the next one."""

    seed: int
    share: float = 0.5
    demand: float = 2000.0
    fixed: float = 0.0  # a day
    per_launch: float = 0.01
    cap: float = 150.0
    paced: bool = True
    account: Account = field(default_factory=Account)
    periods: list[Period] = field(default_factory=list)
    factor: float | None = None
    days: list[float] = field(default_factory=list)  # true costs
    factors: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)

    def run(self, month: Month) -> World:
        self.days, self.factors = [], []
        for day in range(month.days):
            busy = self.dice.uniform(0.75, 1.25) * (0.6 if day % 7 in (5, 6) else 1.15)
            self.days.append(0.0)
            for hour in range(24):
                now = month.start + day * DAY + hour * HOUR
                if hour == 12 and len(self.days) > 1 and day:
                    self.export(month, day - 1)
                self.look(month, now)
                self.launches(now, busy * (1 + 0.6 * sin(2 * pi * (hour - 8) / 24)) * self.demand / 24)
            self.days[-1] += self.fixed
        self.export(month, month.days - 1)
        return self

    def export(self, month: Month, day: int) -> None:
        start = month.start + day * DAY
        self.periods.append(Period(start, start + DAY, self.days[day]))

    def look(self, month: Month, now: float) -> None:
        books = Books(MemberCosts(cap=self.cap), self.periods, self.account)
        found = spending(books, month, now, self.share) if self.paced else None
        wanted = 1.0 if found is None else pace(found).factor
        self.factor = wanted if self.factor is None else glided(self.factor, wanted, HOUR)
        self.factors.append(self.factor)

    def launches(self, now: float, demand: float) -> None:
        assert self.factor is not None
        odds = self.factor * self.share / (1 - self.share)
        came = round(demand * odds / (1 + odds) * self.dice.uniform(0.8, 1.2))
        self.account.add(Served(launches=came, whole=came * self.share / (odds / (1 + odds))), now + 1)
        self.days[-1] += came * self.per_launch


@pytest.mark.parametrize(
    ("share", "demand", "fixed"), [(0.1, 4.0, 0.3), (0.5, 1.3, 0.0), (0.5, 2.0, 0.3), (0.8, 2.0, 0.0)]
)
def test_a_month_ends_at_its_cap_and_no_day_is_a_cliff(share: float, demand: float, fixed: float) -> None:
    cap, launches = 150.0, 2000 * share * 30
    variable = 150.0 * (demand - fixed)
    world = World(7, share, fixed=fixed * cap / 30, per_launch=variable / launches, cap=cap)
    world.run(month_named("2026-10"))  # the first one, in which it is learned what a launch costs
    world.run(NOVEMBER)
    assert sum(world.days) == pytest.approx(cap, rel=0.05)
    assert max(world.days) < 2 * cap / 30
    jumps = [after / before for before, after in zip(world.factors, world.factors[1:], strict=False)]
    assert max(jumps) <= 2.001 and min(jumps) >= 0.499


def test_without_pacing_the_same_month_breaks_its_cap() -> None:
    world = World(7, paced=False, per_launch=0.01).run(NOVEMBER)
    assert sum(world.days) > 1.5 * world.cap


def test_a_member_that_stays_below_its_cap_is_left_alone() -> None:
    world = World(3, per_launch=0.004)
    world.run(month_named("2026-10"))
    world.run(NOVEMBER)
    assert sum(world.days) < 0.9 * world.cap and min(world.factors) > 0.7
    assert sum(world.factors) / len(world.factors) > 0.98


def test_a_flat_fee_above_the_cap_never_starves_a_member() -> None:
    world = World(5, fixed=10.0, per_launch=0.0, cap=150.0)
    world.run(month_named("2026-10"))
    assert min(world.factors) > 0.3  # that is how it is found out
    world.run(NOVEMBER)
    assert sum(world.days) == pytest.approx(300)
    assert min(world.factors) == 1.0
    found_out = learn(Books(None, world.periods, world.account), NOVEMBER.end)
    assert found_out is not None and found_out.sure and found_out.fixed == pytest.approx(10.0, rel=0.05)
    plain = Books(MemberCosts(monthly=300.0, cap=150.0), (), world.account)
    found = spending(plain, NOVEMBER, NOVEMBER.start + 20 * DAY, 0.5)
    assert found is not None and pace(found) == Pacing(1.0, FEE)


def test_a_plain_figure_below_the_cap_is_not_paced_at_all() -> None:
    books = Books(MemberCosts(monthly=100.0, cap=150.0), (), Account())
    for share in (0.0, 0.3, 0.99, 1.0):
        found = spending(books, NOVEMBER, NOVEMBER.start + share * NOVEMBER.length, 0.5)
        assert found is not None and pace(found) == Pacing()
