"""What Prometheus is told of launches: counters that facts move. Decides nothing.

Words that come from a member's stream become labels only if they are known, so that none can make series at will.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from federation.core.facts import (
    AttemptEnded,
    CanaryEnded,
    Chosen,
    Fact,
    LaunchEnded,
    Outcome,
    Overdue,
    PhaseEnded,
    Redirected,
)
from federation.core.model import Decision

READY_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
WAITED_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600)
PHASE_BUCKETS = (0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800)
HANDED_OVER = (Outcome.REDIRECTED.value, "redirected")
PHASES = frozenset(
    {"waiting", "fetching", "building", "pushing", "unknown", "built", "launching", "ready", "failed"}
)
OTHER = "other"

Counts = Counter[tuple[str, ...]]


class LaunchSeries:
    """A listener, and what it counted as series."""

    def __init__(self) -> None:
        self._sent: Counts = Counter()
        self._attempts: Counts = Counter()
        self._overdue: Counts = Counter()
        self._canaries: Counts = Counter()
        self._launches: Counts = Counter()
        self._ready = Histogram(
            "federation_launch_ready_seconds",
            "From a relayed launch's request to its ready event, over all its attempts.",
            ["member"],
            buckets=READY_BUCKETS,
            registry=None,
        )
        self._phases = Histogram(
            "federation_phase_seconds",
            "Phases that launches came through on a member.",
            ["member", "phase"],
            buckets=PHASE_BUCKETS,
            registry=None,
        )
        self._waited = Histogram(
            "federation_waited_seconds",
            "Time in the waiting room, of launches that were in it.",
            ["outcome"],
            buckets=WAITED_BUCKETS,
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
            case PhaseEnded(member, phase, seconds):
                self._phases.labels(member, _known(phase)).observe(seconds)
            case Overdue():
                self._overdue[fact.member, _known(fact.phase)] += 1
            case AttemptEnded():
                self._attempts[fact.member, fact.outcome.value, fact.cause] += 1
            case CanaryEnded():
                self._canaries[fact.member, fact.outcome.value] += 1
            case LaunchEnded():
                self._ended(fact)
            case _:
                pass

    def collect(self, names: set[str]) -> Iterator[Metric]:
        """All series, those of members with these names alone."""
        yield from self._by_member(names)
        yield counter(
            "federation_launches",
            "Launches by how they ended for the visitor.",
            ["outcome", "cause"],
            self._launches.items(),
        )
        yield from self._waited.collect()
        for histogram in (self._ready, self._phases):
            for metric in histogram.collect():
                metric.samples = [sample for sample in metric.samples if sample.labels["member"] in names]
                yield metric

    def _ended(self, fact: LaunchEnded) -> None:
        self._launches[fact.outcome.value, fact.cause] += 1
        if fact.outcome is Outcome.READY and fact.member is not None:
            self._ready.labels(fact.member).observe(fact.seconds)
        if fact.waited > 0:
            self._waited.labels(fact.outcome.value).observe(fact.waited)

    def _by_member(self, names: set[str]) -> Iterator[Metric]:
        sent = GaugeMetricFamily(
            "federation_redirect_count",
            "Launches sent to a member since start, a counter under upstream's name.",
            labels=["member", "reason"],
        )
        for labels, count in _of(names, self._sent):
            sent.add_metric(labels, count)
        yield sent
        kept = list(_of(names, self._attempts))
        yield counter(
            "federation_attempts",
            "Launches on one member by how they ended there.",
            ["member", "outcome", "cause"],
            kept,
        )
        yield counter(
            "federation_failovers",
            "Launches that a member could not finish and lost to others.",
            ["member", "cause"],
            (((member, cause), n) for (member, outcome, cause), n in kept if outcome == Outcome.LOST.value),
        )
        yield counter(
            "federation_overdue",
            "Launches that stood still on a member for longer than launches do there.",
            ["member", "phase"],
            _of(names, self._overdue),
        )
        yield counter(
            "federation_canaries",
            "Launches of our own by how they ended.",
            ["member", "outcome"],
            _of(names, self._canaries),
        )


def counter(
    name: str, help: str, labels: list[str], counts: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    """A counter family of these counts by label values."""
    family = CounterMetricFamily(name, help, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family


def _of(names: set[str], counts: Counts) -> Iterator[tuple[tuple[str, ...], int]]:
    """The counts whose first label is one of these members."""
    return ((labels, count) for labels, count in counts.items() if labels[0] in names)


def _reason(decision: Decision, member: str, attempt: int) -> str:
    """Why the member was chosen, in upstream's word where upstream has one."""
    if attempt > 1:
        return "failover"
    if decision.launch.prefer == member:
        return "asked"
    return "last_resort" if decision.last_resort else "load_balancer"


def _known(phase: str) -> str:
    return phase if phase in PHASES else OTHER
