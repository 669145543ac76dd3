"""What Prometheus is told of costs and of what members give. Decides nothing and keeps nothing.

The counters are sums of the donors' ledger, so they go on over a restart where the ledger is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from federation.core.costs import Figures
from federation.service.costs import Costs


class CostSeries(Collector):
    """A collector. What is not known has no series."""

    def __init__(self, costs: Costs) -> None:
        self._costs = costs

    def collect(self) -> Iterator[Metric]:
        told = self._costs.figures()
        yield from _money(told, self._costs.currency)
        yield from self._given([one.name for one in told])
        pace = GaugeMetricFamily(
            "federation_member_pace",
            "The part of its weight that its budget leaves, of 1.",
            labels=["member"],
        )
        for name, factor in self._costs.paces().items():
            pace.add_metric([name], factor)
        yield pace

    def _given(self, names: list[str]) -> Iterator[Metric]:
        families = [
            CounterMetricFamily(f"federation_member_{name}", help, labels=["member"])
            for name, help in (
                ("launches_served", "Launches that were ready there, by the ledger."),
                ("launches_redirected", "Launches that were handed to it, by the ledger."),
                ("session_hours", "Hours of sessions that it ran, by its own numbers."),
                ("builds_served", "Images that it built for launches."),
            )
        ]
        for name in names:
            whole = self._costs.ledger.account(name).whole
            figures = (whole.launches, whole.redirected, whole.session_hours, whole.builds)
            for family, figure in zip(families, figures, strict=True):
                family.add_metric([name], figure)
        yield from families


def _money(told: tuple[Figures, ...], currency: str) -> Iterator[Metric]:
    labels = ["member", "currency"]
    cost = GaugeMetricFamily("federation_member_cost_month", "Cost of this month until now.", labels=labels)
    cap = GaugeMetricFamily("federation_member_cap", "What its donors give a month at most.", labels=labels)
    launch = GaugeMetricFamily(
        "federation_member_cost_per_launch", "This month's cost for each launch it took.", labels=labels
    )
    hour = GaugeMetricFamily(
        "federation_member_cost_per_session_hour",
        "This month's cost for each hour of a session.",
        labels=labels,
    )
    for one in told:
        figures = ((cost, one.cost), (cap, one.cap), (launch, one.per_launch), (hour, one.per_session_hour))
        for family, figure in figures:
            if figure is not None:
                family.add_metric([one.name, currency], figure)
    yield from (cost, cap, launch, hour)
