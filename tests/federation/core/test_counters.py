"""Launch counters as increments: nothing is made up, whatever resets, gaps and strangers do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.core.counters import BLAME, Count, Counts, grown, remembered, tally
from federation.core.model import Tally

LONGEST = 180.0
STATUSES = st.sampled_from(["success", "failure", "retry", "pod_quota"])
EVENTS = st.lists(st.one_of(STATUSES, st.just("restart"), st.just("read")), max_size=60)


def one(at: float, process: str = "p", **values: float) -> Counts:
    return {process: Count(at, values)}


def test_growth_is_told_by_status() -> None:
    more = grown(one(0, success=5, failure=1), one(15, success=7, failure=1, retry=2), LONGEST)
    assert {status: n for status, n in more.items() if n} == {"success": 2, "retry": 2}


def test_a_first_reading_tells_nothing() -> None:
    assert grown({}, one(0, success=900, failure=100), LONGEST) == {}
    assert grown(one(0, "old", success=1), one(15, "new", success=900), LONGEST) == {}


def test_a_counter_that_fell_or_vanished_began_anew_with_all_others() -> None:
    assert grown(one(0, success=900, failure=3), one(15, success=2, failure=4), LONGEST) == {
        "success": 2,
        "failure": 4,
    }
    assert grown(one(0, success=1, failure=3), one(15, success=2), LONGEST) == {"success": 2}


def test_growth_over_a_gap_counts_unless_the_gap_is_too_long() -> None:
    before = one(0, success=1)
    assert grown(before, one(LONGEST, success=4), LONGEST) == {"success": 3}
    assert grown(before, one(LONGEST + 1, success=4), LONGEST) == {}
    assert grown(before, one(-1, success=4), LONGEST) == {}


def test_a_process_that_was_missing_for_a_while_goes_on() -> None:
    kept = remembered(
        {**one(0, "a", success=1), **one(0, "b", success=1)}, one(15, "a", success=2), 15, LONGEST
    )
    assert grown(kept, one(30, "b", success=3), LONGEST) == {"success": 2}
    assert remembered(kept, {}, 500, LONGEST) == {}


@given(EVENTS)
def test_at_most_what_happened_is_told_and_all_of_it_without_restarts(events: list[str]) -> None:
    """A process that counts from zero and is read now and then, at last after its last launch."""
    values: dict[str, float] = {}
    before: Counts = one(0)
    told: dict[str, float] = {}
    for at, event in enumerate([*events, "read"], 1):
        if event == "restart":
            values = {}
        elif event == "read":
            now: Counts = {"p": Count(at, dict(values))}
            for status, more in grown(before, now, LONGEST).items():
                assert more >= 0
                told[status] = told.get(status, 0) + more
            before = remembered(before, now, at, LONGEST)
        else:
            values[event] = values.get(event, 0) + 1
    happened = {status: events.count(status) for status in BLAME}
    assert all(more <= happened[status] for status, more in told.items())
    if "restart" not in events:
        assert {status: more for status, more in told.items() if more} == {
            status: number for status, number in happened.items() if number
        }


def test_only_the_members_own_faults_count_against_it() -> None:
    ended = {"success": 3.0, "failure": 2.0, "retry": 4.0, "pod_quota": 5.0, "repo_quota": 6.0, "new": 7.0}
    assert tally(ended) == Tally(good=3, bad=2)
    assert tally({}) == Tally()
