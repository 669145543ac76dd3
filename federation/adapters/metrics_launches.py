"""What Prometheus is told of launches: counters that facts move. Decides nothing.

Words that come from a member's stream become labels only if they are known, so that none can make series at will.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import Histogram
from prometheus_client.core import Metric

from federation.adapters.counted import Counts, counter, histogram_of, of
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
from federation.core.lately import Judgement, judgement
from federation.core.routing import BUILDING

READY_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
WAITED_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600)
PHASE_BUCKETS = (0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800)
PHASES = frozenset(
    {"waiting", "fetching", "building", "pushing", "unknown", "built", "launching", "ready", "failed"}
)
OTHER = "other"
NOBODY = ""  # the member of a launch that none took
BUILT, JOINED, FOUND = ("built",), ("joined",), ("found",)
REFUSED_IN_ROOM = ("room_full", "waited_too_long")
MADE, WITHHELD = ("made",), ("withheld",)


class LaunchSeries:
    """A listener, and what it counted as series."""

    def __init__(self) -> None:
        self._launches: Counts = Counter()
        self._judged: Counts = Counter()
        self._images: Counts = Counter()
        self._attempts: Counts = Counter()
        self._overdue: Counts = Counter()
        self._canaries: Counts = Counter()
        self._retries: Counts = Counter({MADE: 0, WITHHELD: 0})
        self._refused: Counts = Counter({(cause,): 0 for cause in REFUSED_IN_ROOM})
        self._joined: dict[int, set[str]] = {}  # by launch that goes on: members whose build it went to
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
        for outcome in (Outcome.READY, Outcome.FAILED):
            self._waited.labels(outcome.value)

    def listen(self, fact: Fact) -> None:
        match fact:
            case Redirected():  # the commonest by far in its mode, so it comes first
                self._launches[fact.view.member.name, Outcome.REDIRECTED.value, "redirected"] += 1
            case Chosen():
                self._chosen(fact)
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

    def collect(self, names: list[str]) -> Iterator[Metric]:
        """All series, those of members with these names alone."""
        yield from self._by_end([*names, NOBODY])
        yield from self._by_attempt(names)
        yield counter(
            "federation_retries",
            "Attempts beyond a launch's first, and launches that ended because there was no budget for one.",
            ["result"],
            self._retries.items(),
        )
        yield counter(
            "federation_waiting_refused",
            "Launches that ended in the waiting room, or before its door.",
            ["cause"],
            self._refused.items(),
        )
        yield from self._waited.collect()
        for name in names:
            self._ready.labels(name)
        yield from histogram_of(names, self._ready)
        yield from histogram_of(names, self._phases)

    def _chosen(self, fact: Chosen) -> None:
        if fact.attempt > 1:
            self._retries[MADE] += 1
        if fact.decision.why.startswith(BUILDING):
            self._joined.setdefault(fact.id, set()).add(fact.member)

    def _ended(self, fact: LaunchEnded) -> None:
        member = fact.member or NOBODY
        joined = member in self._joined.pop(fact.id, ())
        self._launches[member, fact.outcome.value, fact.cause] += 1
        self._judged[member, judgement(fact).value] += 1
        if fact.outcome is Outcome.READY:
            self._images[member, *(FOUND if not fact.built else JOINED if joined else BUILT)] += 1
            if fact.member is not None:
                self._ready.labels(member).observe(fact.seconds)
        if fact.cause in REFUSED_IN_ROOM:
            self._refused[(fact.cause,)] += 1
        if fact.cause == "retry_budget":
            self._retries[WITHHELD] += 1
        if fact.waited > 0:
            self._waited.labels(fact.outcome.value).observe(fact.waited)

    def _by_end(self, names: list[str]) -> Iterator[Metric]:
        yield counter(
            "federation_launches",
            "Launches by how they ended for the visitor, and the member that ended them.",
            ["member", "outcome", "cause"],
            of(names, self._launches),
        )
        yield counter(
            "federation_slo_launches",
            "Relayed launches: good, bad by the federation's own failure, or not ours to judge.",
            ["member", "verdict"],
            of(names, self._judged, *((verdict.value,) for verdict in Judgement)),
        )
        yield counter(
            "federation_launch_images",
            "Launches that were ready, by where their image came from.",
            ["member", "source"],
            of(names, self._images, BUILT, JOINED, FOUND),
        )

    def _by_attempt(self, names: list[str]) -> Iterator[Metric]:
        kept = list(of(names, self._attempts))
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
            (
                ((member, cause), count)
                for (member, outcome, cause), count in kept
                if outcome == Outcome.LOST.value
            ),
        )
        yield counter(
            "federation_overdue",
            "Launches that stood still on a member for longer than launches do there.",
            ["member", "phase"],
            of(names, self._overdue),
        )
        yield counter(
            "federation_canaries",
            "Launches of our own by how they ended.",
            ["member", "outcome"],
            of(names, self._canaries),
        )


def _known(phase: str) -> str:
    return phase if phase in PHASES else OTHER
