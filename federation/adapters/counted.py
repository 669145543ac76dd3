"""Counts that become Prometheus counters, a label's values by name. Knows no fact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, Metric

Counts = Counter[tuple[str, ...]]


def counter(
    name: str, help: str, labels: Sequence[str], counts: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    """A counter family of these counts by label values."""
    family = CounterMetricFamily(name, help, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family


def of(names: Iterable[str], counts: Counts, *zeros: Sequence[str]) -> Iterator[tuple[tuple[str, ...], int]]:
    """The counts whose first label is one of these members; 0 for each of them with each of the `zeros`, the further
    labels of what is to be told from the start."""
    kept = {(name, *zero): 0 for name in names for zero in zeros}
    chosen = frozenset(names)
    kept.update((labels, count) for labels, count in counts.items() if labels[0] in chosen)
    return iter(kept.items())


def histogram_of(names: Iterable[str], histogram: Histogram) -> Iterator[Metric]:
    """Its series of these members."""
    chosen = frozenset(names)
    for metric in histogram.collect():
        metric.samples = [sample for sample in metric.samples if sample.labels["member"] in chosen]
        yield metric
