from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.core.retry_budget import FIRST, FLOOR, MOST, Balance, paid_in, taken_out
from federation.core.rules import LaunchRules, Settings
from federation.service.retry_budget import RetryBudget

STEPS = st.lists(
    st.tuples(st.floats(0, 20), st.booleans()), max_size=300
)  # seconds until then, and a launch?


def drained(balance: Balance, now: float) -> tuple[Balance, int]:
    granted = 0
    while (rest := taken_out(balance, now)) is not None:
        balance, granted = rest, granted + 1
    return balance, granted


def test_a_fresh_budget_grants_a_few_and_then_ten_a_minute() -> None:
    balance, granted = drained(Balance(at=5.0), 5.0)
    assert granted == FIRST
    assert drained(balance, 5.0 + 60.5)[1] == 10


def test_five_launches_pay_for_one_further_attempt() -> None:
    balance, _ = drained(Balance(), 0.0)
    for _ in range(4):
        balance = paid_in(balance, 0.25, 0.0)
    assert drained(balance, 0.0)[1] == 1


def test_what_can_be_saved_up_is_bounded() -> None:
    balance = Balance()
    for _ in range(10_000):
        balance = paid_in(balance, 0.2, 0.0)
    assert balance.attempts == MOST
    assert drained(Balance(), 1e9)[1] == MOST


@given(STEPS, st.floats(0, 1))
def test_no_more_attempts_than_launches_and_time_pay_for(
    steps: list[tuple[float, bool]], ratio: float
) -> None:
    balance, now, granted, launches = Balance(), 0.0, 0, 0
    for seconds, launch in steps:
        now += seconds
        if launch:
            launches += 1
            balance = paid_in(balance, ratio, now)
        elif (rest := taken_out(balance, now)) is not None:
            granted += 1
            balance = rest
        assert 0 <= balance.attempts <= MOST
        assert granted <= FIRST + FLOOR * now + ratio * launches + 1e-6


@given(STEPS, st.floats(0, 1))
def test_as_long_as_nothing_is_lost_by_the_bound_all_that_was_paid_for_is_granted(
    steps: list[tuple[float, bool]], ratio: float
) -> None:
    balance, now, granted, launches = Balance(), 0.0, 0, 0
    for seconds, _ in [(0.0, True), *steps]:
        now += seconds
        launches += 1
        balance, more = drained(paid_in(balance, ratio, now), now)
        granted += more
    assert granted > FIRST + FLOOR * now + ratio * launches - 1 - 1e-6


def test_a_clock_that_is_set_back_grants_nothing() -> None:
    balance, _ = drained(Balance(at=100.0), 100.0)
    assert taken_out(balance, 0.0) is None
    assert taken_out(Balance(1.0, 100.0), 0.0) == Balance(0.0, 100.0)
    assert drained(paid_in(balance, 0.0, 0.0), 130.5)[1] == 5


def test_the_rules_in_force_tell_what_a_launch_pays() -> None:
    rules, now = LaunchRules(retry_budget=0.0), 1000.0
    budget = RetryBudget(lambda: Settings((), launch=rules), lambda: now)
    assert [budget.granted() for _ in range(int(FIRST) + 2)] == [True] * int(FIRST) + [False] * 2
    budget.launched()
    assert not budget.granted()
    rules = LaunchRules(retry_budget=0.5)
    for _ in range(2):
        budget.launched()
    assert budget.left == 1.0
    assert budget.granted() and not budget.granted()
    now += 6.1
    assert budget.granted() and not budget.granted()
