"""Prometheus series of the front door, made from the pool's snapshots and from facts. Decides nothing.

What describes members is made anew at every scrape, so a state is one-hot, a reason never lingers, and a
member that was removed leaves no series behind. Names that mybinder.org's dashboards use are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from federation.core.facts import (
    AttemptEnded,
    Chosen,
    ConfigurationRefused,
    Fact,
    LaunchEnded,
    LoopFailed,
    Outcome,
    Reconfigured,
    Redirected,
)
from federation.core.model import Decision, MemberView, State
from federation.core.routing import health_label
from federation.service.pool import Pool

READY_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
HANDED_OVER = (Outcome.REDIRECTED.value, "redirected")


class FederationMetrics(Collector):
    """A listener for facts and a collector in one."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sent: Counter[tuple[str, str]] = Counter()
        self._attempts: Counter[tuple[str, str, str]] = Counter()
        self._launches: Counter[tuple[str, str]] = Counter()
        self._reloads: Counter[tuple[str]] = Counter({("accepted",): 0, ("refused",): 0})
        self._faults: Counter[tuple[str]] = Counter()
        self._ready = Histogram(
            "federation_launch_ready_seconds",
            "From a relayed launch's request to its ready event, over all its attempts.",
            ["member"],
            buckets=READY_BUCKETS,
            registry=None,
        )

    def listen(self, fact: Fact) -> None:
        match fact:
            case Redirected():  # the commonest by far in its mode, so it comes first
                name = fact.view.member.name
                asked = fact.launch.prefer == name
                reason = "asked" if asked else "load_balancer" if fact.view.refusal is None else "last_resort"
                self._sent[name, reason] += 1
                self._launches[HANDED_OVER] += 1
            case Chosen(decision, _, member, attempt):
                self._sent[member, _reason(decision, member, attempt)] += 1
            case AttemptEnded():
                self._attempts[fact.member, fact.outcome.value, fact.cause] += 1
            case LaunchEnded():
                self._launches[fact.outcome.value, fact.cause] += 1
                if fact.outcome is Outcome.READY and fact.member is not None:
                    self._ready.labels(fact.member).observe(fact.seconds)
            case Reconfigured():
                self._reloads[("accepted",)] += 1
            case ConfigurationRefused():
                self._reloads[("refused",)] += 1
            case LoopFailed(where):
                self._faults[(where,)] += 1
            case _:
                pass

    def collect(self) -> Iterator[Metric]:
        views = self._pool.views()
        yield from _states(views)
        yield from _sizes(views)
        names = {view.member.name for view in views}
        yield from self._counts(names)
        for metric in self._ready.collect():
            metric.samples = [sample for sample in metric.samples if sample.labels["member"] in names]
            yield metric
        yield InfoMetricFamily("federation_build", "This front door.", value={"version": own_version()})

    def _counts(self, names: set[str]) -> Iterator[Metric]:
        sent = GaugeMetricFamily(
            "federation_redirect_count",
            "Launches sent to a member since start, a counter under upstream's name.",
            labels=["member", "reason"],
        )
        for labels, count in self._sent.items():
            if labels[0] in names:
                sent.add_metric(labels, count)
        yield sent
        kept = {labels: count for labels, count in self._attempts.items() if labels[0] in names}
        yield _counter(
            "federation_attempts",
            "Launches on one member by how they ended there.",
            ["member", "outcome", "cause"],
            kept.items(),
        )
        lost = ((labels, n) for labels, n in kept.items() if labels[1] == Outcome.LOST.value)
        yield _counter(
            "federation_failovers",
            "Launches that a member could not finish and lost to others.",
            ["member", "cause"],
            (((member, cause), n) for (member, _, cause), n in lost),
        )
        yield _counter(
            "federation_launches",
            "Launches by how they ended for the visitor.",
            ["outcome", "cause"],
            self._launches.items(),
        )
        yield _counter(
            "federation_configurations", "New configurations read.", ["result"], self._reloads.items()
        )
        yield _counter(
            "federation_loop_faults", "Own faults in loops that went on.", ["where"], self._faults.items()
        )


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


def _states(views: Iterable[MemberView]) -> Iterator[Metric]:
    health = GaugeMetricFamily(
        "federation_health", "1 if the member takes launches, else 0 and why.", labels=["member", "reason"]
    )
    checks = GaugeMetricFamily(
        "federation_health_check", "Checks of the member's last answer.", labels=["member", "check"]
    )
    states = GaugeMetricFamily(
        "federation_member_state", "1 for the member's present state.", labels=["member", "state"]
    )
    since = GaugeMetricFamily(
        "federation_member_state_since_seconds", "When it entered its state.", labels=["member"]
    )
    for view in views:
        name = view.member.name
        health.add_metric([name, health_label(view)], float(view.refusal is None))
        since.add_metric([name], view.since)
        for state in State:
            states.add_metric([name, state.value], float(view.state is state))
        for service, ok in {check.service: check.ok for check in view.checks}.items():
            checks.add_metric([name, service], float(ok))
    yield from (health, checks, states, since)


def _sizes(views: Iterable[MemberView]) -> Iterator[Metric]:
    weight = GaugeMetricFamily("federation_member_weight", "The operator's weight.", labels=["member"])
    leases = GaugeMetricFamily("federation_member_leases", "Launches under way there.", labels=["member"])
    used = GaugeMetricFamily("federation_member_seats_used", "Sessions it told of.", labels=["member"])
    quota = GaugeMetricFamily("federation_member_seats", "Sessions it may run.", labels=["member"])
    for view in views:
        name = [view.member.name]
        weight.add_metric(name, view.member.weight)
        leases.add_metric(name, view.leases)
        if view.seats is not None:
            used.add_metric(name, view.seats.used)
            if view.seats.quota is not None:
                quota.add_metric(name, view.seats.quota)
    yield from (weight, leases, used, quota)


def _reason(decision: Decision, member: str, attempt: int) -> str:
    """Why the member was chosen, in upstream's word where upstream has one."""
    if attempt > 1:
        return "failover"
    if decision.launch.prefer == member:
        return "asked"
    return "last_resort" if decision.last_resort else "load_balancer"


def _counter(
    name: str, help: str, labels: list[str], counts: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family
