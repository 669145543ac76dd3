"""The members as they stand now: the only mutable state of the front door. Knows no wire and no policy.

`views()` is a tuple of frozen snapshots, replaced on every change, so that a reader has one consistent
picture without a lock and nothing that it holds ever goes stale in place. What is known of one member is kept in
its `Seat`; this file brings news to it, moves it through its states, and compares it with its peers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from federation.core import saved
from federation.core.evidence import WELL, cleared
from federation.core.facts import (
    AttemptEnded,
    CanaryEnded,
    Fact,
    LaunchEnded,
    Listener,
    LookFailed,
    Outcome,
    Reconfigured,
    StateChanged,
)
from federation.core.health import Event, Standing, doubtful, overdue, step
from federation.core.model import TAKING, Member, MemberView, Pacing, Signal, State
from federation.core.policies import Dice
from federation.core.rules import Settings
from federation.core.snapshot import Snapshot, snapshot
from federation.service.jury import Jury
from federation.service.leases import Lease
from federation.service.ports import Clock, ProbeResult
from federation.service.seat import Seat
from federation.service.sight import Sight


class Pool:
    """Who exists, who is well, and how many launches each member has under way."""

    def __init__(self, settings: Settings, clock: Clock, dice: Dice = lambda: 0.5) -> None:
        self._settings = settings
        self._clock = clock
        self._dice = dice
        self._listeners: list[Listener] = []
        self._stirred: list[Callable[[], None]] = []
        self._seats: dict[str, Seat] = {}
        self._jury = Jury(self._seats, self._move)
        self._sight = Sight(self._seats, self._enter, self._renew, self._tell)
        self._snapshot: Snapshot | None = None
        self.taken: list[int] = []
        self.configure(settings)

    # What readers see.

    def views(self) -> tuple[MemberView, ...]:
        """All members in the order of the configuration. Costs nothing."""
        return self.snapshot().views

    def snapshot(self) -> Snapshot:
        """The views with what routing makes of them in advance. `taken` counts, by the index of the view, the
        launches that were handed over since it was made."""
        assert self._snapshot is not None
        return self._snapshot

    def view(self, name: str) -> MemberView | None:
        seat = self._seats.get(name)
        return None if seat is None else seat.view

    @property
    def blind_since(self) -> float | None:
        """Since when all members seem to have failed at once; None when the view is to be believed."""
        return self._sight.blind_since

    def doubtful(self, name: str) -> bool:
        """Whether this member takes launches but has begun to look bad."""
        seat = self._seats.get(name)
        return seat is not None and doubtful(seat.standing, self._settings.health)

    def subscribe(self, listener: Listener) -> None:
        """Facts are told to each listener at once, in the order of subscription. Listeners must not raise."""
        self._listeners.append(listener)

    def when_stirred(self, stirred: Callable[[], None]) -> None:
        """Called whenever a seat may have come free."""
        self._stirred.append(stirred)

    # What is told to the pool.

    def observe(self, result: ProbeResult) -> None:
        """Takes a probe's result over. One for a member that is gone is dropped."""
        seat = self._seats.get(result.member)
        if seat is None:
            return
        if result.answered:
            seat.answered(result, self._clock.now())
        else:
            seat.silent(self._clock.now())
        self._look(seat, Event.GOOD if result.ok else Event.BAD, result.reason)

    def refused(self, name: str, reason: str) -> None:
        """A launch could not even connect to this member: as good as a failed probe."""
        seat = self._seats.get(name)
        if seat is not None:
            seat.silent(self._clock.now())
            self._look(seat, Event.BAD, reason)

    def signalled(self, name: str, signals: Mapping[str, Signal], good: int, bad: int) -> None:
        """What Prometheus or the member's own metrics tell. `good` and `bad` launches since the last time count as
        outcomes where the front door does not see them itself."""
        seat = self._seats.get(name)
        if seat is None:
            return
        now = self._clock.now()
        seat.signalled(signals, self._settings, now)
        self._jury.counted(seat, good, bad, now)
        self._renewed(seat)
        self._stir()

    def pace(self, name: str, pacing: Pacing) -> None:
        """What budget pacing leaves of this member's weight from now on."""
        seat = self._seats.get(name)
        if seat is not None and seat.pacing != pacing:
            seat.pacing = pacing
            self._renewed(seat)

    def listen(self, fact: Fact) -> None:
        """A listener for how launches end."""
        match fact:
            case AttemptEnded() | CanaryEnded() if (
                seat := self._jury.heard(fact, self._clock.now())
            ) is not None:
                self._renewed(seat)
                self._stir()
            case LaunchEnded(outcome=Outcome.FAILED):
                self._jury.failed(fact, self._clock.now())
            case _:
                pass

    def tick(self) -> None:
        """What time alone changes: back-offs end, shares grow, leases and evidence age. Call it about once a second."""
        now = self._clock.now()
        for seat in self._seats.values():
            seat.ledger.expire(now)
            seat.rest(now)
            if (event := overdue(seat.standing, self._settings.health, now)) is not None:
                self._move(seat, event, "")
        self._jury.compare_versions(now)
        self._jury.judge(now)
        for seat in self._seats.values():
            self._strain(seat, now)
            self._renew(seat)
        self._publish()
        self._stir()

    # Launches under way.

    def lease(self, name: str) -> Lease:
        """A seat on this member until the lease is closed. One of a member that is gone counts nowhere."""
        seat = self._seats.get(name)
        if seat is None:
            return Lease(lambda lease, ready: None)
        lingers = seat.view.seats is not None  # otherwise nothing will ever show that it came

        def ended() -> None:
            self._renewed(seat)
            self._stir()

        lease = seat.ledger.open(ended, self._clock.now, lingers=lingers)
        self._renewed(seat)
        return lease

    def handed(self, index: int) -> None:
        """A launch was redirected to the member of this index in the snapshot. Costs next to nothing: the snapshot
        stays, and `taken` tells."""
        view = self.views()[index]
        seat = self._seats.get(view.member.name)
        if seat is not None:
            self.taken[index] += 1
            seat.ledger.hand(self._clock.now())
            if seat.standing.state is State.TRIAL:  # the next launch must not come before the next snapshot
                self._renewed(seat)

    # Configuration.

    def configure(self, settings: Settings) -> Reconfigured:
        """Follows a new configuration. A member that stays where it was keeps its state and leases; one that
        moved to another URL starts as unknown."""
        before = dict(self._seats)
        self._settings = settings
        self._seats.clear()
        changed = []
        for member in settings.members:
            old = before.get(member.name)
            if old is None:
                self._seats[member.name] = self._fresh(member)
                continue
            if old.member != member:
                changed.append(member.name)
            self._seats[member.name] = self._kept(old, member)
        for seat in self._seats.values():
            self._renew(seat)
        self._publish()
        return Reconfigured(
            added=tuple(name for name in self._seats if name not in before),
            removed=tuple(name for name in before if name not in self._seats),
            changed=tuple(changed),
        )

    # Over a restart.

    def saved(self) -> Mapping[str, Any]:
        """What is worth keeping of all members, as a document."""
        return saved.document({name: seat.kept() for name, seat in self._seats.items()})

    def restore(self, document: object) -> None:
        """Takes back what was kept of members that are where they were and were not seen yet. Raises ValueError
        when the document is none."""
        now = self._clock.now()
        for name, kept in saved.read(document).items():
            seat = self._seats.get(name)
            if seat is None or seat.member.url != kept.url or seat.look.seen is not None:
                continue
            seat.recall(kept, now)
            if not seat.drained:
                standing, seat.reason = saved.on_start(kept, self._settings.health, now)
                self._enter(seat, standing, seat.reason)
            self._renew(seat)
        self._publish()

    def _fresh(self, member: Member) -> Seat:
        seat = Seat(member, self._clock.now())
        if member.closed:
            self._move(seat, Event.DRAIN, member.closed)
        return seat

    def _kept(self, seat: Seat, member: Member) -> Seat:
        if not same_place(seat.member, member):
            return self._fresh(member)
        seat.member = member
        if member.closed:
            self._move(seat, Event.DRAIN, member.closed)
            seat.reason = member.closed  # which may be another one than before
        else:
            self._move(seat, Event.UNDRAIN, "not probed yet")
        return seat

    # How news changes a member.

    def _look(self, seat: Seat, event: Event, reason: str) -> None:
        now = self._clock.now()
        before = seat.standing.state
        self._sight.doubt(self._settings.health, now)
        if self._sight.blind_since is None or seat.look.silent_since is None:
            self._move(seat, event, reason)
        if before is seat.standing.state is State.EJECTED and event is Event.BAD:
            seat.reason = reason
        self._strain(seat, now)
        self._renewed(seat)
        self._stir()
        if event is Event.BAD and doubtful(seat.standing, self._settings.health):
            self._tell(LookFailed(seat.member.name, reason))

    def _strain(self, seat: Seat, now: float) -> None:
        why = seat.strained(self._settings, now)
        if why is None:
            self._move(seat, Event.EASED, "")
            return
        self._move(seat, Event.STRAINED, why)
        if seat.standing.state in TAKING:
            seat.reason = why  # which may be another one than before

    def _move(self, seat: Seat, event: Event, reason: str) -> None:
        rules = self._settings.health
        self._enter(seat, step(seat.standing, event, rules, self._clock.now(), self._dice()), reason)

    def _enter(self, seat: Seat, standing: Standing, reason: str) -> None:
        """The only place where a member's state changes."""
        before = seat.standing.state
        seat.standing = standing
        if standing.state is before:
            return
        seat.reason = reason
        if standing.state in (State.TRIAL, State.RECOVERING):
            seat.evidence = cleared()
            seat.opinion = WELL
        if before is State.EJECTED:
            seat.ledger.forget()  # its numbers were looked at since; what died with it would hold its trial up
        self._renew(seat)  # the news that moved it may have been another's
        self._tell(StateChanged(seat.member.name, before, standing.state, reason, self._clock.now()))

    def _renewed(self, seat: Seat) -> None:
        self._renew(seat)
        self._publish()

    def _renew(self, seat: Seat) -> None:
        seat.renew(self._settings, self._clock.now())

    def _publish(self) -> None:
        for index, view in enumerate(self._snapshot.views if self._snapshot is not None else ()):
            if self.taken[index] and (taker := self._seats.get(view.member.name)) is not None:
                self._renew(taker)  # what `taken` told is to be in its leases from now on
        views = tuple(seat.view for seat in self._seats.values())
        self._snapshot = snapshot(
            views,
            self._settings.policy,
            self._snapshot,
            headrooms=[seat.headroom for seat in self._seats.values()],
            blind=self._sight.blind_since is not None,
        )
        self.taken = [0] * len(views)

    def _stir(self) -> None:
        for stirred in self._stirred:
            stirred()

    def _tell(self, fact: Fact) -> None:
        for listener in self._listeners:
            listener(fact)


def same_place(one: Member, other: Member) -> bool:
    """Whether two configurations of a member point at the same service."""
    return (one.url, one.health_path, one.versions_path) == (
        other.url,
        other.health_path,
        other.versions_path,
    )
