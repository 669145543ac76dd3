from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.core.facts import LaunchEnded, Outcome
from federation.core.lately import counts_against_us, quantile, summed
from federation.core.model import Launch

LAUNCH = Launch("gh", "a/b/HEAD", "gh/a/b")


def end(outcome: Outcome, cause: str, seconds: float = 1.0) -> LaunchEnded:
    return LaunchEnded(LAUNCH, 1, outcome, "a", 1, cause, seconds)


def test_only_what_the_federation_owes_counts_against_it() -> None:
    ends = [
        end(Outcome.READY, "ready", 2.0),
        end(Outcome.READY, "ready", 4.0),
        end(Outcome.FAILED, "repository"),
        end(Outcome.FAILED, "rate_limit"),
        end(Outcome.ABANDONED, "abandoned"),
        end(Outcome.FAILED, "no_member"),
        end(Outcome.FAILED, "room_full"),
    ]
    told = summed(ends)
    assert (told.launches, told.good, told.bad, told.success) == (7, 2, 2, 0.5)
    assert [counts_against_us(one) for one in ends] == [False] * 5 + [True] * 2
    assert (told.p50, told.p95) == (2.0, 4.0)


def test_nothing_says_nothing() -> None:
    told = summed([end(Outcome.FAILED, "repository")])
    assert (told.success, told.p50, told.p95) == (None, None, None)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_one_of_the_values_with_that_share_at_or_below_it(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    found = quantile(ordered, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values)
