"""What signals are worth to routing: little when little is known, and never the whole share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.model import Signal
from federation.core.promql import OF_BINDERHUB, QUERIES, filled, selector_of
from federation.core.rules import PrometheusRules
from federation.core.signals import LEAST, SIGNALS, Influence, influence, longest_gap, upper_bound

NOW = 1_000_000.0
SHARES = st.floats(0, 1)
NUMBERS = st.floats(0, 1e6)
ANY = st.dictionaries(
    st.sampled_from(sorted(SIGNALS)),
    st.builds(Signal, st.floats(allow_nan=True, allow_infinity=True), st.floats(NOW - 1000, NOW + 1000)),
)


def told(age: float = 0.0, **values: float) -> Influence:
    return influence({name: Signal(value, NOW - age) for name, value in values.items()}, NOW, 180.0)


@given(ANY)
def test_no_signals_take_all_of_a_share(signals: dict[str, Signal]) -> None:
    found = influence(signals, NOW, 180.0)
    assert LEAST <= found.factor <= 1.0 and 0.0 <= found.pressure <= 1.0
    assert all(seats is None or seats >= 0 for seats in (found.sessions, found.quota))
    assert (found.factor == 1.0) or found.why


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1.0])
@pytest.mark.parametrize("name", sorted(SIGNALS))
def test_what_is_no_figure_is_not_known(name: str, value: float) -> None:
    well = {"launches": 100.0, "launch_success": 0.5, "pressure": 0.5, "sessions": 7.0, "quota": 9.0}
    without = {key: one for key, one in well.items() if key != name}
    assert told(**{**well, name: value}) == told(**without)


def test_no_data_is_neutral() -> None:
    assert told() == Influence()
    assert told(builds=3, launching=200, launch_seconds=500) == Influence()


def test_success_of_an_unknown_number_of_launches_is_neutral() -> None:
    assert told(launch_success=0.0).factor == 1.0
    assert told(launch_success=0.0, launches=0.0).factor == 1.0


@given(ANY)
def test_stale_signals_count_as_none(signals: dict[str, Signal]) -> None:
    stale = {name: Signal(signal.value, NOW - 181.0) for name, signal in signals.items()}
    found = influence(stale, NOW, 180.0)
    assert (found.factor, found.pressure, found.sessions, found.quota) == (1.0, 0.0, None, None)


def test_stale_signals_are_told() -> None:
    assert told(181, sessions=3, quota=5).why == "2 signals are too old"
    assert told(179, sessions=3, quota=5) == Influence(sessions=3, quota=5)


@pytest.mark.parametrize(
    ("launches", "success", "factor"),
    [
        (1, 0.0, 0.793),
        (3, 0.0, 0.562),
        (10, 0.0, 0.278),
        (1000, 0.0, LEAST),
        (1000, 0.9, 0.917),
        (1, 1.0, 1.0),
    ],
)
def test_few_launches_weigh_little(launches: float, success: float, factor: float) -> None:
    assert told(launches=launches, launch_success=success).factor == pytest.approx(factor, abs=0.001)


@given(SHARES, NUMBERS)
def test_the_bound_is_never_below_what_was_seen(share: float, launches: float) -> None:
    assert share - 1e-9 <= upper_bound(share, launches) <= 1.0


@given(SHARES, SHARES, st.floats(0.1, 1e6))
def test_more_success_is_never_worth_less(one: float, other: float, launches: float) -> None:
    low, high = sorted((one, other))
    assert upper_bound(low, launches) <= upper_bound(high, launches) + 1e-9


@given(st.floats(0, 0.99), NUMBERS, NUMBERS)
def test_more_launches_say_more(share: float, one: float, other: float) -> None:
    few, many = sorted((one, other))
    assert upper_bound(share, many) <= upper_bound(share, few) + 1e-9


def test_pressure_scales_the_share() -> None:
    found = told(pressure=0.25)
    assert (
        found.factor == 0.75 and found.pressure == 0.25 and found.why == "25 % of its nodes are short of room"
    )
    assert told(pressure=1.0).factor == LEAST
    assert told(pressure=7.0).pressure == 1.0


def test_all_reasons_are_told() -> None:
    found = told(launches=20, launch_success=0.5, pressure=0.5)
    assert found.why == "50 % of 20 launches ended well, 50 % of its nodes are short of room"
    assert found.factor == pytest.approx(0.5 * upper_bound(0.5, 20))


def test_a_failed_round_is_no_gap_however_rarely_rounds_are() -> None:
    assert longest_gap(PrometheusRules(interval=15, max_age=180)) == 180
    assert longest_gap(PrometheusRules(interval=600, max_age=180)) > 1200


def test_every_signal_has_a_query_for_what_the_selector_picks() -> None:
    assert QUERIES.keys() == SIGNALS.keys() and SIGNALS.keys() > OF_BINDERHUB
    assert all("%(selector)s" in query for query in QUERIES.values())


def test_a_query_may_have_percent_signs_of_its_own() -> None:
    assert filled("x{%(selector)s} % 100", 'a="b"') == 'x{a="b"} % 100'
    assert selector_of('m="%(member)s",x=~"50%"', "alpha") == 'm="alpha",x=~"50%"'
