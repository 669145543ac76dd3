from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.cost_exports import BadExport, Period, entries, from_csv, from_json, summed

HEAD = "Account,Start Time,End Time,Cost\n"
periods = st.lists(
    st.builds(
        lambda start, length, cost: Period(float(start), float(start + length), float(cost)),
        st.integers(0, 5),
        st.integers(1, 3),
        st.integers(-100, 100),
    )
)


def entry(amount: object, **more: Any) -> dict[str, Any]:
    return {"cost": {"amount": amount, "currency": "USD"}, "start_time": "0", "end_time": "10", **more}


def test_lines_of_one_time_are_summed_and_credits_are_taken_off() -> None:
    told = f"{HEAD}a,10,20,1.5\nb,0,10,1\nc,10,20,-0.5\n"
    assert from_csv(told, float) == (Period(0, 10, 1.0), Period(10, 20, 1.0))
    assert from_json(json.dumps([entry("1.5"), entry(2), entry(-1)]), float) == (Period(0, 10, 2.5),)


def test_the_older_keys_of_json_exports_are_read_too() -> None:
    told = [{"cost": {"amount": "3"}, "startTime": "0", "endTime": "5"}]
    assert from_json(json.dumps(told), float) == (Period(0, 5, 3.0),)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("Start Time,Cost\n", "line 1: columns: 'Start Time, Cost', expected a column End Time"),
        ("", "line 1: columns: '', expected a column Start Time"),
        (f"{HEAD}a,0,10,1\na,0,10,lots\n", "line 3: Cost: 'lots', expected a number"),
        (f"{HEAD}a,0,10,nan\n", "line 2: Cost: 'nan', expected a number"),
        (f"{HEAD}a,soon,10,1\n", "line 2: Start Time: 'soon', expected a time such as"),
        (f"{HEAD}a,10,10,1\n", r"line 2: End Time: '10', expected a time after Start Time \(10\)"),
        (f"{HEAD}a,0\n", "line 2: Cost: '', expected a number"),
    ],
)
def test_a_bad_line_is_named_with_what_was_expected(told: str, said: str) -> None:
    with pytest.raises(BadExport, match=said):
        from_csv(told, float)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("[\n{", "line 2: JSON: .*, expected a list of objects"),
        ("{}", "line 1: JSON: 'dict', expected a list"),
        ("[1]", "entry 1: entry: '1', expected an object"),
        (json.dumps([entry(1), entry(None)]), "entry 2: cost.amount: 'None', expected a number"),
        (json.dumps([entry(True, end_time=5)]), "entry 1: end_time: '5', expected a time"),
        (json.dumps([{"cost": {"amount": 1}}]), "entry 1: start_time: 'None', expected a time"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_a_bad_entry_is_named_with_what_was_expected(told: str, said: str) -> None:
    with pytest.raises(BadExport, match=said):
        from_json(told, float)


@given(st.text())
def test_no_text_does_more_harm_than_to_be_refused(told: str) -> None:
    for read in (from_csv, from_json):
        try:
            read(told, float)
        except BadExport as problem:
            assert str(problem).isprintable()


@given(periods)
def test_sums_keep_every_cost_and_the_published_lines_are_sorted(found: list[Period]) -> None:
    assert sum(one.cost for one in summed(found)) == sum(one.cost for one in found)
    told = list(entries(found))
    starts = [one["start_time"] for one in told]
    assert starts == sorted(starts) and all(
        list(one) == ["version", "start_time", "end_time", "cost"] for one in told
    )
    assert len({(one["start_time"], one["end_time"]) for one in told}) == len(told)
