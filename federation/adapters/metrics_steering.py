"""What Prometheus is told of what operators set and changed: for whom and what, never by whom. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from federation.adapters.counted import Counts, counter, of
from federation.core.facts import Fact, Steered
from federation.core.steering import Override

WEIGHT, DRAINED, ENDED = ("weight",), ("drained",), ("ended",)


def override_series(names: list[str], override: Callable[[str], Override], now: float) -> Iterator[Metric]:
    """What stands in place of the configuration of these members at this time, in seconds since the epoch."""
    family = GaugeMetricFamily(
        "federation_member_overridden",
        "1 while an operator's word stands in place of the configuration.",
        labels=["member", "what"],
    )
    for name in names:
        standing = override(name).now(now)
        family.add_metric([name, *WEIGHT], float(standing.weighted is not None))
        family.add_metric([name, *DRAINED], float(standing.drained is not None))
    yield family


class ChangeSeries:
    """A listener, and what it counted as series."""

    def __init__(self) -> None:
        self._changes: Counts = Counter()

    def listen(self, fact: Fact) -> None:
        if not isinstance(fact, Steered):
            return
        if not fact.by:
            self._changes[fact.member, *ENDED] += 1
            return
        if (fact.before.weight, fact.before.weighted) != (fact.after.weight, fact.after.weighted):
            self._changes[fact.member, *WEIGHT] += 1
        if fact.before.drained != fact.after.drained:
            self._changes[fact.member, *DRAINED] += 1

    def collect(self, names: list[str]) -> Iterator[Metric]:
        """Those of members with these names alone."""
        yield counter(
            "federation_audit_changes",
            "What operators changed, and what they had set that came to its end.",
            ["member", "what"],
            of(names, self._changes, WEIGHT, DRAINED, ENDED),
        )
