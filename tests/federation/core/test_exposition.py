"""Signals of a member's own metrics, scrape after scrape."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.core.exposition import WINDOW, History, Sample, Scrape, derived, followed, quantile, sifted
from federation.core.model import Signal

BOUNDS = ("2.0", "5.0", "10.0", "+Inf")


def scrape(
    at: float, good: float, bad: float = 0, *, process: float = 1.0, times: tuple[float, ...] = ()
) -> Scrape:
    samples: list[Sample] = [
        ("process_start_time_seconds", {}, process),
        ("binderhub_inprogress_launches", {}, 4.0),
        ("binderhub_launch_time_seconds_count", {"status": "success", "retries": "0"}, good),
        ("binderhub_launch_time_seconds_count", {"status": "failure", "retries": "-1"}, bad),
    ]
    for bound, count in zip(BOUNDS, times, strict=False):
        samples.append(("binderhub_launch_time_seconds_bucket", {"status": "success", "le": bound}, count))
    found = sifted(samples, at)
    assert found is not None
    return found


def after(*scrapes: Scrape, longest: float = 180.0) -> dict[str, Signal]:
    history, signals = History(), dict[str, Signal]()
    for one in scrapes:
        history = followed(history, one, longest)
        signals = derived(history, one)
    return signals


def values(signals: dict[str, Signal]) -> dict[str, float]:
    return {name: signal.value for name, signal in signals.items()}


def test_a_first_scrape_tells_what_is_now_and_nothing_of_launches() -> None:
    assert after(scrape(0, 900, 50)) == {"launching": Signal(4.0, 0)}


def test_from_the_second_on_launches_are_those_since_the_first() -> None:
    assert values(after(scrape(0, 900, 50), scrape(15, 903, 51))) == {
        "launching": 4.0,
        "launches": 4.0,
        "launch_success": 0.75,
    }


def test_without_launches_there_is_no_success() -> None:
    assert values(after(scrape(0, 9), scrape(15, 9))) == {"launching": 4.0, "launches": 0.0}


def test_the_window_ends() -> None:
    scrapes = [scrape(at, 100 + at / 15) for at in range(0, int(2 * WINDOW), 15)]
    assert values(after(*scrapes))["launches"] == WINDOW / 15


def test_two_processes_behind_one_address_are_two() -> None:
    first = [scrape(15 * n, 1000 + n, process=1.0) for n in (0, 2, 4)]
    second = [scrape(15 * n, 10, n, process=2.0) for n in (1, 3)]
    told = values(after(first[0], second[0], first[1], second[1], first[2]))
    assert told["launches"] == 4 + 2  # and not the difference between the two


def test_a_new_process_blames_nobody_for_what_nobody_saw() -> None:
    assert values(after(scrape(0, 5), scrape(15, 1, 7, process=2.0))) == {"launching": 4.0}


def test_what_is_of_no_binderhub_tells_nothing() -> None:
    assert sifted([], 0) is None
    assert sifted([("process_start_time_seconds", {}, 1.0), ("up", {}, 1.0)], 0) is None
    assert sifted([("binderhub_inprogress_launches", {}, float("nan"))], 0) is None


def test_times_are_those_of_the_window() -> None:
    slow_before = scrape(0, 100, times=(0, 0, 0, 100))
    now = scrape(15, 104, times=(4, 4, 4, 104))
    assert values(after(slow_before, now))["launch_seconds"] == 2 * 0.95


def test_quantiles_as_prometheus_estimates_them() -> None:
    assert quantile(0.5, {"1": 0, "2": 10, "+Inf": 10}) == 1.5
    assert quantile(0.95, {"1": 50, "2": 90, "+Inf": 100}) == 2.0
    assert quantile(0.95, {"1": 50, "2": 90}) is None
    assert quantile(0.95, {"+Inf": 3}) is None
    assert quantile(0.95, {"1": 0, "+Inf": 0}) is None
    assert quantile(0.5, {"x": 1, "nan": 2, "1": 1, "+Inf": 1}) == 0.5


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_quantiles_lie_between_the_bounds_and_in_order(counts: list[int], one: float, other: float) -> None:
    cumulative = {bound: float(sum(counts[: i + 1])) for i, bound in enumerate(BOUNDS)}
    low, high = (quantile(q, cumulative) for q in sorted((one, other)))
    if sum(counts) == 0:
        assert low is None and high is None
    else:
        assert low is not None and high is not None and 0 <= low <= high + 1e-9 <= 10 + 1e-6
