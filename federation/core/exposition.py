"""Signals from a member's own `/metrics`, read again and again: what Prometheus would compute. Knows no text and
no connection.

One scrape has cumulative counters only. What they grew by from scrape to scrape is kept for the window that
the default queries have, so that a figure means the same wherever it comes from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from federation.core.counters import Count, Counts, grown, remembered
from federation.core.model import Signal, nothing
from federation.core.signals import is_usable

WINDOW = 600.0  # seconds, as in the default queries

Sample = tuple[str, Mapping[str, str], float]  # name, labels, value

_LAUNCHES = "binderhub_launch_time_seconds_count"
_BUCKETS = "binderhub_launch_time_seconds_bucket"
_PROCESS = "process_start_time_seconds"
_GAUGES: Mapping[str, str] = MappingProxyType(
    {"binderhub_inprogress_builds": "builds", "binderhub_inprogress_launches": "launching"}
)
SERIES = (_LAUNCHES, _BUCKETS, _PROCESS, *_GAUGES)  # the names that matter
DERIVED = ("launch_success", "launches", "launch_seconds", *_GAUGES.values())  # the signals made of them


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one answer told at `at`. `launches` are by status, `times` those that ended well, cumulative by the
    buckets' upper bound; both by process. `gauges` are by signal."""

    at: float
    launches: Counts
    times: Counts
    gauges: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Step:
    """What the counters grew by until `at`, since the scrape before."""

    at: float
    launches: Mapping[str, float]
    times: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class History:
    """One member's counters as last read, and the steps of the window. It begins empty."""

    launches: Counts = field(default_factory=nothing)
    times: Counts = field(default_factory=nothing)
    steps: tuple[Step, ...] = ()


def sifted(samples: Iterable[Sample], at: float) -> Scrape | None:
    """What the samples say, or None when none of them is of a BinderHub.

    The process is named by its start: behind one address several may answer in turn, each with its own counters.
    """
    launches: defaultdict[str, float] = defaultdict(float)
    times: defaultdict[str, float] = defaultdict(float)
    gauges: defaultdict[str, float] = defaultdict(float)
    process = ""
    for name, labels, value in samples:
        if not is_usable(value):
            continue
        if name == _LAUNCHES and "status" in labels:
            launches[labels["status"]] += value
        elif name == _BUCKETS and labels.get("status") == "success" and "le" in labels:
            times[labels["le"]] += value
        elif name in _GAUGES:
            gauges[_GAUGES[name]] += value
        elif name == _PROCESS:
            process = f"{value:.3f}"
    if not launches and not gauges:
        return None
    return Scrape(
        at=at,
        launches=MappingProxyType({process: Count(at, MappingProxyType(dict(launches)))}),
        times=MappingProxyType({process: Count(at, MappingProxyType(dict(times)))}),
        gauges=MappingProxyType(dict(gauges)),
    )


def followed(history: History, scrape: Scrape, longest: float) -> History:
    """The history with one more scrape. `longest` is as in `federation.core.counters.grown`."""
    at = scrape.at
    steps = tuple(step for step in history.steps if 0 <= at - step.at < WINDOW)
    if not history.launches.keys().isdisjoint(scrape.launches):
        more = grown(history.launches, scrape.launches, longest)
        steps = (*steps, Step(at, more, grown(history.times, scrape.times, longest)))
    return History(
        launches=remembered(history.launches, scrape.launches, at, longest),
        times=remembered(history.times, scrape.times, at, longest),
        steps=steps,
    )


def derived(history: History, scrape: Scrape) -> dict[str, Signal]:
    """The signals after this scrape, which the history holds already. Before the second one nothing is known of
    launches."""
    figures = dict(scrape.gauges)
    if history.steps:
        ended = _sum(step.launches for step in history.steps)
        good, bad = ended.get("success", 0.0), ended.get("failure", 0.0)
        figures["launches"] = good + bad
        if good + bad > 0:
            figures["launch_success"] = good / (good + bad)
        seconds = quantile(0.95, _sum(step.times for step in history.steps))
        if seconds is not None:
            figures["launch_seconds"] = seconds
    return {name: Signal(value, scrape.at) for name, value in figures.items()}


def quantile(q: float, buckets: Mapping[str, float]) -> float | None:
    """The q-quantile (0 < q < 1) of observations that are counted in cumulative buckets by their upper bound, as
    PromQL's `histogram_quantile` estimates it (Prometheus' documentation, "Query functions"): evenly spread inside
    a bucket, the lowest of which begins at 0, and the highest finite bound for all that lies above it. None if
    there is no observation, no bound at infinity or no other one.
    """
    bounds = sorted((float(bound), count) for bound, count in buckets.items() if _is_number(bound))
    if len(bounds) < 2 or bounds[-1][0] != float("inf") or bounds[-1][1] <= 0:
        return None
    rank = q * bounds[-1][1]
    low = below = 0.0
    for high, count in bounds[:-1]:
        if count >= rank:
            return low + (high - low) * (rank - below) / (count - below)
        low, below = high, max(below, count)
    return low


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def _sum(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        for key, value in part.items():
            total[key] += value
    return dict(total)
