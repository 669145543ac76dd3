"""One member's place in the pool: all that is known of it, and the view that is made of that. Knows no other member.

What decides is in core; this file keeps the values and puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from federation.core import intake, weights
from federation.core import seats as seating
from federation.core import signals as figures
from federation.core.evidence import WELL, Evidence, tally
from federation.core.health import Standing
from federation.core.model import (
    Check,
    Member,
    MemberView,
    Operation,
    Pacing,
    Seats,
    Signal,
    State,
    nothing,
)
from federation.core.routing import refusal
from federation.core.rules import Settings
from federation.core.saved import Kept, seats_now
from federation.service.leases import Ledger
from federation.service.ports import ProbeResult

UNSEEN = Standing()
REST_EVERY = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Look:
    """What the last look showed. `silent_since` is the first of the present run of looks without any answer,
    `silent_looks` their number, and `before` the standing at that time."""

    checks: tuple[Check, ...] = ()
    seats: Seats | None = None
    versions: Mapping[str, object] = field(default_factory=nothing)
    seen: float | None = None
    lost: frozenset[Operation] = frozenset()
    silent_since: float | None = None
    silent_looks: int = 0
    before: Standing = UNSEEN


class Seat:
    """A lease keeps hold of it, so that it never ends on a namesake."""

    def __init__(self, member: Member, now: float) -> None:
        self.member = member
        self.standing = Standing(since=now)
        self.reason = "not probed yet"
        self.look = Look()
        self.ledger = Ledger()
        self.evidence = Evidence()
        self.opinion = WELL
        self.learned = seating.Learned()
        self.inflow = seating.Inflow()
        self.signals: Mapping[str, Signal] = nothing()
        self.stranger_since: float | None = None  # since when it runs other versions than most
        self.stranger = ""  # how they differ
        self.headroom = 0  # seats left alone
        self.intake = intake.FIRST  # launches that it may start at once
        self.rested = now  # when the intake last changed by time alone
        self.factor = 1.0  # in use now; it follows what is computed with a dead band
        self.pacing = Pacing()
        self.view = MemberView(member, since=now)

    def strained(self, settings: Settings, now: float) -> str | None:
        """Why it is not what a member should be, without being ill."""
        if self.look.lost:
            failing = [check.service for check in self.look.checks if not check.ok and not check.ignored]
            return f"failing: {', '.join(failing)}" if failing else self.reason
        grace = settings.health.version_grace
        if self.stranger_since is not None and now - self.stranger_since >= grace:
            return self.stranger
        return None

    def answered(self, result: ProbeResult, now: float) -> None:
        """Takes over what a look found."""
        if not self.gone:
            self.counted(self.look.seats, result.seats, now)
        self.look = Look(
            checks=result.checks,
            seats=result.seats,
            versions=self.look.versions if result.versions is None else result.versions,
            seen=result.at,
            lost=result.lost,
        )

    def silent(self, now: float) -> None:
        """A look found no answer. As long as it takes launches it counts as full as it last was, since load is what
        silences full members."""
        look = self.look
        if look.silent_since is None:
            look = replace(look, silent_since=now, before=self.standing)
        self.look = replace(look, checks=(), silent_looks=look.silent_looks + 1)

    def counted(self, before: Seats | None, told: Seats | None, now: float) -> None:
        """One source's numbers of sessions went from `before` to `told`: they show launches of ours and others."""
        if before is None or told is None:
            return
        grown, ours = told.used - before.used, self.ledger.sent
        self.ledger.shown(max(0, grown))
        self.inflow = seating.observed(self.inflow, grown, ours, now)

    def signalled(self, signals: Mapping[str, Signal], settings: Settings, now: float) -> None:
        """Takes new signals over. Their sessions count where its own `/health` tells none."""
        old, self.signals = self.signals, signals
        if self.look.seats is None and old.get("sessions") != signals.get("sessions"):
            age = settings.prometheus.max_age
            before, told = (_seats(figures.influence(each, now, age)) for each in (old, signals))
            self.counted(before, told, now)

    def rest(self, now: float) -> None:
        """What it has shown to manage is forgotten in time."""
        if not 0 <= now - self.rested < REST_EVERY:
            self.intake, self.rested = intake.rested(self.intake), now

    def renew(self, settings: Settings, now: float) -> None:
        """Makes the view anew from everything that is known."""
        influence = figures.influence(self.signals, now, settings.prometheus.max_age)
        told = (None if self.gone else self.look.seats) or _seats(influence)
        self.learned = seating.raised(self.learned, None if told is None else told.quota, now)
        capacity = seating.capacity(
            self.member.seats, None if told is None else told.quota, self.learned, now
        )
        if capacity is not None:
            capacity -= int(capacity * influence.pressure)
        state = self.standing.state
        view = replace(
            self.view,
            member=self.member,
            state=state,
            since=self.standing.since,
            reason=self.reason,
            checks=self.look.checks,
            seats=_bounded(self.member, told),
            versions=self.look.versions,
            seen=self.look.seen,
            leases=self.ledger.hidden,
            starting=self.ledger.starting,
            intake=self.intake,
            capacity=capacity,
            lost=self.look.lost,
            tally=tally(self.evidence, now),
            signals=self.signals,
            weight=0.0,
            pacing=self.pacing,
        )
        computed = self._factor(view, settings, now) * influence.factor
        self.factor = weights.settled(self.factor, computed)
        self.headroom = seating.headroom(
            settings.policy.headroom, self.inflow, settings.health.interval, capacity
        )
        weight = self.member.weight * self.factor * self.pacing.factor
        view = replace(view, weight=weight if view.fit else 0.0)
        asked = view
        if state is State.TRIAL:  # its one launch is under way even when its numbers show it already
            asked = replace(view, leases=max(view.leases, self.ledger.under_way))
        self.view = replace(view, refusal=refusal(asked, self.headroom))

    def kept(self) -> Kept:
        """What of it is worth keeping over a restart."""
        look = self.look
        return Kept(
            self.member.url, self.standing, self.reason, self.learned, look.versions, look.seats, look.seen
        )

    def recall(self, kept: Kept, now: float) -> None:
        """Takes back what it told before the start; its standing is the pool's matter."""
        self.look = Look(seats=seats_now(kept, now), versions=kept.versions, seen=kept.seen)
        self.learned = kept.learned

    def _factor(self, view: MemberView, settings: Settings, now: float) -> float:
        """What evidence, free seats and slow start leave of the operator's weight."""
        elapsed = now - self.standing.since
        return (
            weights.room(view.free, view.capacity)
            * weights.ramp(self.standing.state, elapsed, settings.health.slow_start)
            * self.opinion.factor
        )

    @property
    def gone(self) -> bool:
        """Whether it is ejected and silent: what it said last is not its present state."""
        return self.standing.state is State.EJECTED and self.look.silent_since is not None

    @property
    def drained(self) -> bool:
        return self.standing.state is State.DRAINED


def _seats(influence: figures.Influence) -> Seats | None:
    return None if influence.sessions is None else Seats(influence.sessions, influence.quota)


def _bounded(member: Member, told: Seats | None) -> Seats | None:
    """What the member tells, bounded by what the operator allows it."""
    if told is None or member.seats is None:
        return told
    return Seats(told.used, member.seats if told.quota is None else min(told.quota, member.seats))
