"""What Prometheus is told of the front door itself: its waiting room, its view, its configuration, its faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from federation.adapters.counted import Counts, counter
from federation.core.facts import BlindnessChanged, ConfigurationRefused, Fact, LoopFailed, Reconfigured
from federation.core.rules import Settings
from federation.core.steering import NOTHING_SET, Override
from federation.service.ports import Line


@dataclass(slots=True)
class Sights:
    """Where the figures are that no fact tells; each is asked for at every scrape and must cost next to nothing.

    `workers` are those that are wanted and those that serve, `incidents` the open ones by kind, `certificates` when
    each member's ends, in seconds since the epoch, `override` what is set for a member. `refused` tells that the
    configuration's file cannot be used.
    """

    settings: Callable[[], Settings]
    line: Callable[[], Line]
    refused: Callable[[], bool] = lambda: False
    workers: Callable[[], tuple[int, int]] = lambda: (1, 1)
    certificates: Callable[[], Mapping[str, float]] = dict
    override: Callable[[str], Override] = lambda member: NOTHING_SET
    incidents: Callable[[], Mapping[str, int]] = dict


class OwnSeries:
    """A listener, and what it counted as series."""

    def __init__(self) -> None:
        self._reloads: Counts = Counter({("accepted",): 0, ("refused",): 0})
        self._faults: Counts = Counter()
        self._blind = False

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
                pass

    def collect(self, sights: Sights) -> Iterator[Metric]:
        yield from _figures(sights, self._blind)
        incidents = GaugeMetricFamily(
            "federation_open_incidents", "Incidents that are open.", labels=["kind"]
        )
        for kind, number in sights.incidents().items():
            incidents.add_metric([kind], number)
        workers = GaugeMetricFamily(
            "federation_workers",
            "Processes that serve visitors, and as many as there should be.",
            labels=["state"],
        )
        for state, number in zip(("wanted", "serving"), sights.workers(), strict=True):
            workers.add_metric([state], number)
        yield from (incidents, workers)
        yield counter(
            "federation_configurations", "New configurations read.", ["result"], self._reloads.items()
        )
        yield counter(
            "federation_loop_faults", "Own faults in loops that went on.", ["where"], self._faults.items()
        )
        yield InfoMetricFamily("federation_build", "This front door.", value={"version": own_version()})


def _figures(sights: Sights, blind: bool) -> Iterator[Metric]:
    """Those without labels."""
    settings, line = sights.settings(), sights.line()
    for name, help, value in (
        ("federation_waiting_launches", "Launches that wait for a seat.", line.waiting),
        ("federation_waiting_longest_seconds", "How long the first of them has waited.", line.longest),
        ("federation_waiting_places", "Launches that may wait at once.", settings.waiting.places),
        (
            "federation_blind",
            "1 while all members seem to have failed at once and the last good view is kept.",
            blind,
        ),
        (
            "federation_configuration_refused",
            "1 while the configuration's file cannot be used and an older one is in force.",
            sights.refused(),
        ),
        (
            "federation_signal_max_age_seconds",
            "The age from which signals about members count as none.",
            settings.prometheus.max_age,
        ),
    ):
        yield GaugeMetricFamily(name, help, value=float(value))


@cache
def own_version() -> str:
    try:
        return version("binder-federation")
    except PackageNotFoundError:
        return "unknown"
