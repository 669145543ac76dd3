"""Prometheus series of the front door, made from the pool's snapshots and from facts. Decides nothing.

Names that mybinder.org's dashboards use are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from federation.adapters.metrics_launches import Counts, LaunchSeries, counter
from federation.adapters.metrics_members import member_series
from federation.core.facts import BlindnessChanged, ConfigurationRefused, Fact, LoopFailed, Reconfigured
from federation.service.pool import Pool
from federation.service.ports import Clock
from federation.service.shares import RecentChoices


class FederationMetrics(Collector):
    """A listener for facts and a collector in one. `choices` is a listener of its own, `waiting` tells how many
    launches wait for a seat."""

    def __init__(
        self, pool: Pool, choices: RecentChoices, clock: Clock, waiting: Callable[[], int] = lambda: 0
    ) -> None:
        self._pool = pool
        self._choices = choices
        self._clock = clock
        self._waiting = waiting
        self._launches = LaunchSeries()
        self._blind = False
        self._reloads: Counts = Counter({("accepted",): 0, ("refused",): 0})
        self._faults: Counts = Counter()

    def listen(self, fact: Fact) -> None:
        match fact:
            case BlindnessChanged(since):
                self._blind = since is not None
            case Reconfigured():
                self._reloads[("accepted",)] += 1
            case ConfigurationRefused():
                self._reloads[("refused",)] += 1
            case LoopFailed(where):
                self._faults[(where,)] += 1
            case _:
                self._launches.listen(fact)

    def collect(self) -> Iterator[Metric]:
        views = self._pool.views()
        yield from member_series(views, self._choices.counts(), self._clock.now())
        yield from self._launches.collect({view.member.name for view in views})
        yield GaugeMetricFamily(
            "federation_waiting_launches", "Launches that wait for a seat.", value=self._waiting()
        )
        yield GaugeMetricFamily(
            "federation_blind",
            "1 while all members seem to have failed at once and the last good view is kept.",
            value=float(self._blind),
        )
        yield counter(
            "federation_configurations", "New configurations read.", ["result"], self._reloads.items()
        )
        yield counter(
            "federation_loop_faults", "Own faults in loops that went on.", ["where"], self._faults.items()
        )
        yield InfoMetricFamily("federation_build", "This front door.", value={"version": own_version()})


def make_registry(metrics: FederationMetrics) -> CollectorRegistry:
    """A registry of this front door alone, with the process's own figures."""
    registry = CollectorRegistry()
    registry.register(metrics)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def own_version() -> str:
    try:
        return version("binder-federation")
    except PackageNotFoundError:
        return "unknown"
