"""Prometheus series of the front door, made from the pool's snapshots and from facts. Decides nothing.

Names that mybinder.org's dashboards use are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from federation.adapters.metrics_choices import ChoiceSeries
from federation.adapters.metrics_launches import LaunchSeries
from federation.adapters.metrics_members import certificate_series, member_series
from federation.adapters.metrics_own import OwnSeries, Sights
from federation.adapters.metrics_steering import ChangeSeries, override_series
from federation.core.facts import Fact
from federation.service.pool import Pool
from federation.service.ports import Clock
from federation.service.shares import RecentChoices


class FederationMetrics(Collector):
    """A listener for facts and a collector in one. `choices` is a listener of its own, `sights` what the rest of the
    front door is asked for at each scrape."""

    def __init__(self, pool: Pool, choices: RecentChoices, clock: Clock, sights: Sights) -> None:
        self.sights = sights
        self._pool = pool
        self._recent = choices
        self._clock = clock
        self._launches = LaunchSeries()
        self._choices = ChoiceSeries()
        self._changes = ChangeSeries()
        self._own = OwnSeries()

    def listen(self, fact: Fact) -> None:
        for series in (self._launches, self._choices, self._changes, self._own):
            series.listen(fact)

    def collect(self) -> Iterator[Metric]:
        views, now = self._pool.views(), self._clock.now()
        names = [view.member.name for view in views]
        yield from member_series(views, self._recent.counts(), now)
        yield from certificate_series(names, self.sights.certificates())
        yield from override_series(names, self.sights.override, now)
        yield from self._changes.collect(names)
        yield from self._choices.collect(names)
        yield from self._launches.collect(names)
        yield from self._own.collect(self.sights)


def make_registry(metrics: FederationMetrics) -> CollectorRegistry:
    """A registry of this front door alone, with the process's own figures."""
    registry = CollectorRegistry()
    registry.register(metrics)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
