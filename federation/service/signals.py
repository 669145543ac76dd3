"""Asks again and again what metrics tell of every member, each in a task of its own. Knows no query and no wire.

What was asked and has no answer is not known; what could not be asked stays known until it is too old. Outcomes
are told in redirect mode only: a relayed launch tells its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from federation.core.counters import Counts, grown, remembered, tally
from federation.core.facts import Fact, Listener, Reconfigured
from federation.core.model import Member, Signal, Tally, nothing
from federation.core.policies import Dice
from federation.core.rules import Mode, PrometheusRules
from federation.core.signals import longest_gap
from federation.service.dispatch import InForce
from federation.service.per_member import PerMember, Watch
from federation.service.ports import Clock, Reading, SignalSource

JITTER = 0.1  # share of the interval, half of it each way, so that questions do not come all at once

# The member's name, its signals, and the launches since the last time that speak for it and against it.
OnSignals = Callable[[str, Mapping[str, Signal], int, int], None]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where signals come from: a Prometheus where there is one for the member, else its own metrics."""

    prometheus: SignalSource
    scrape: SignalSource

    def of(self, member: Member, rules: PrometheusRules) -> SignalSource | None:
        if member.prometheus or rules.url:
            return self.prometheus
        return self.scrape if rules.scrape else None


@dataclass(frozen=True, slots=True)
class _Place:
    """What the answers are of. Those of another place say nothing of this one."""

    url: str
    prometheus: str | None
    selector: str
    source: SignalSource | None


@dataclass(frozen=True, slots=True)
class _Known:
    place: _Place
    signals: Mapping[str, Signal] = field(default_factory=nothing)
    counts: Counts = field(default_factory=nothing)
    unread: Mapping[str, str] = field(default_factory=nothing)


class SignalWatch(Watch):
    """`async with` it: the tasks live inside the block and are ended with it."""

    def __init__(
        self,
        sources: Sources,
        in_force: InForce,
        clock: Clock,
        dice: Dice,
        tell: Listener,
        on_signals: OnSignals,
    ) -> None:
        self._sources = sources
        self._in_force = in_force
        self._clock = clock
        self._dice = dice
        self._on_signals = on_signals
        self._known: dict[str, _Known] = {}
        self._tasks = PerMember("signals", self._read, self._pause, tell)

    def listen(self, fact: Fact) -> None:
        """A listener: follows a new configuration, and asks all members anew under it."""
        if isinstance(fact, Reconfigured):
            self._follow()
            self._tasks.hurry_all()

    def unread(self, name: str) -> Mapping[str, str]:
        """Signals of this member that could not be asked for the last time, with the reason."""
        known = self._known.get(name)
        return nothing() if known is None else known.unread

    def _follow(self) -> None:
        names = {member.name for member in self._in_force().members}
        self._tasks.follow(names)
        self._known = {name: known for name, known in self._known.items() if name in names}

    async def _read(self, name: str) -> None:
        """One reading that counts: one of a place that the member has left meanwhile does not."""
        while (member := self._member(name)) is not None:
            place = self._place(member)
            reading = Reading() if place.source is None else await place.source.read(member)
            now = self._member(name)
            if now is not None and self._place(now) == place:
                self._take(name, place, reading)
                return

    def _take(self, name: str, place: _Place, reading: Reading) -> None:
        settings, now = self._in_force(), self._clock.now()
        rules = settings.prometheus
        known = self._known.get(name)
        if known is None or known.place != place:
            known = _Known(place)
        longest = longest_gap(rules)
        ended = tally(grown(known.counts, reading.counts, longest))
        kept = {
            signal: value
            for signal, value in known.signals.items()
            if signal in reading.unread and now - value.at <= rules.max_age
        }
        signals = MappingProxyType({**kept, **reading.signals})
        counts = remembered(known.counts, reading.counts, now, longest)
        self._known[name] = _Known(place, signals, counts, reading.unread)
        told = ended if settings.launch.mode is Mode.REDIRECT else Tally()
        self._on_signals(name, signals, told.good, told.bad)

    def _member(self, name: str) -> Member | None:
        return next((member for member in self._in_force().members if member.name == name), None)

    def _place(self, member: Member) -> _Place:
        rules = self._in_force().prometheus
        source = self._sources.of(member, rules)
        return _Place(member.url, member.prometheus or rules.url, rules.selector, source)

    def _pause(self, name: str) -> float:
        return self._in_force().prometheus.interval * (1 + JITTER * (self._dice() - 0.5))
