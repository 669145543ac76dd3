"""The members as they stand now: the only mutable state of the front door. Knows no wire and no policy.

`views()` is a tuple of frozen snapshots, replaced on every change, so that a reader has one consistent
picture without a lock and nothing that it holds ever goes stale in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from federation.core.facts import Fact, Listener, LookFailed, Reconfigured, StateChanged
from federation.core.health import Event, Standing, doubtful, step
from federation.core.model import Member, MemberView, Seats, State
from federation.core.routing import refusal
from federation.core.rules import Settings
from federation.service.ports import Clock, ProbeResult


class _Seat:
    """One member's place in the pool. A lease keeps hold of it, so that it never ends on a namesake."""

    __slots__ = ("standing", "view")

    def __init__(self, view: MemberView) -> None:
        self.view = view
        self.standing = Standing(view.state)


class Pool:
    """Who exists, who is well, and how many launches each member has under way."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._rules = settings.health
        self._policy = settings.policy
        self._clock = clock
        self._listeners: list[Listener] = []
        self._seats: dict[str, _Seat] = {member.name: self._fresh(member) for member in settings.members}
        self._views: tuple[MemberView, ...] = ()
        self._publish()

    def views(self) -> tuple[MemberView, ...]:
        """All members in the order of the configuration. Costs nothing."""
        return self._views

    def view(self, name: str) -> MemberView | None:
        seat = self._seats.get(name)
        return None if seat is None else seat.view

    def doubtful(self, name: str) -> bool:
        """Whether this member takes launches but has begun to look bad."""
        seat = self._seats.get(name)
        return seat is not None and doubtful(seat.standing, self._rules)

    def subscribe(self, listener: Listener) -> None:
        """Facts are told to each listener at once, in the order of subscription. Listeners must not raise."""
        self._listeners.append(listener)

    def observe(self, result: ProbeResult) -> None:
        """Takes a probe's result over. One for a member that is gone is dropped."""
        seat = self._seats.get(result.member)
        if seat is None:
            return
        view = replace(
            seat.view,
            checks=result.checks if result.answered else (),
            seats=_seats(seat.view.member, result.seats) if result.answered else None,
            versions=seat.view.versions if result.versions is None else result.versions,
            seen=result.at if result.answered else seat.view.seen,
        )
        self._look(seat, view, Event.GOOD if result.ok else Event.BAD, result.reason)

    def refused(self, name: str, reason: str) -> None:
        """A launch could not even connect to this member: as good as a failed probe."""
        seat = self._seats.get(name)
        if seat is not None:
            self._look(seat, seat.view, Event.BAD, reason)

    @contextmanager
    def lease(self, name: str) -> Iterator[None]:
        """Counts a launch on this member until the block ends, however it ends."""
        seat = self._seats.get(name)
        if seat is None:
            yield
            return
        seat.view = replace(seat.view, leases=seat.view.leases + 1)
        self._publish()
        try:
            yield
        finally:
            seat.view = replace(seat.view, leases=seat.view.leases - 1)
            self._publish()

    def configure(self, settings: Settings) -> Reconfigured:
        """Follows a new configuration. A member that stays where it was keeps its state and leases; one that
        moved to another URL starts as unknown."""
        before = self._seats
        self._rules = settings.health
        self._policy = settings.policy
        self._seats = {}
        changed = []
        for member in settings.members:
            old = before.get(member.name)
            if old is None:
                self._seats[member.name] = self._fresh(member)
                continue
            if old.view.member != member:
                changed.append(member.name)
            self._seats[member.name] = self._kept(old, member)
        self._publish()
        return Reconfigured(
            added=tuple(name for name in self._seats if name not in before),
            removed=tuple(name for name in before if name not in self._seats),
            changed=tuple(changed),
        )

    def _fresh(self, member: Member) -> _Seat:
        seat = _Seat(MemberView(member, since=self._clock.now()))
        if member.weight <= 0:
            self._wish(seat, Event.DRAIN)
        return seat

    def _kept(self, seat: _Seat, member: Member) -> _Seat:
        if not same_place(seat.view.member, member):
            return self._fresh(member)
        seat.view = replace(seat.view, member=member)
        if seat.view.seats is not None:
            seat.view = replace(seat.view, seats=_seats(member, seat.view.seats))
        self._wish(seat, Event.DRAIN if member.weight <= 0 else Event.UNDRAIN)
        return seat

    def _wish(self, seat: _Seat, event: Event) -> None:
        reason = "weight 0" if event is Event.DRAIN else "not probed yet"
        self._move(seat, step(seat.standing, event, self._rules), reason)

    def _look(self, seat: _Seat, view: MemberView, event: Event, reason: str) -> None:
        before, seats = seat.view.state, seat.view.seats
        seat.view = view
        self._move(seat, step(seat.standing, event, self._rules), reason)
        if event is Event.BAD and view.seats is None and seat.view.fit:
            # As long as it takes launches it is as full as it last said: load is what silences full members.
            seat.view = replace(seat.view, seats=seats)
        if seat.view.state is State.EJECTED and event is Event.BAD:
            seat.view = replace(seat.view, reason=reason)
        self._publish()
        if event is Event.BAD and before is seat.view.state and before is not State.EJECTED:
            self._tell(LookFailed(view.member.name, reason))

    def _move(self, seat: _Seat, standing: Standing, reason: str) -> None:
        """The only place where a member's state changes."""
        before = seat.view.state
        seat.standing = standing
        if standing.state is before:
            return
        now = self._clock.now()
        seat.view = replace(seat.view, state=standing.state, since=now, reason=reason)
        self._tell(StateChanged(seat.view.member.name, before, standing.state, reason, now))

    def _publish(self) -> None:
        for seat in self._seats.values():
            seat.view = replace(
                seat.view,
                weight=seat.view.member.weight if seat.view.fit else 0.0,
                capacity=_capacity(seat.view),
            )
            seat.view = replace(seat.view, refusal=refusal(seat.view, self._policy.headroom or 0))
        self._views = tuple(seat.view for seat in self._seats.values())

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


def _capacity(view: MemberView) -> int | None:
    return view.member.seats if view.seats is None else view.seats.quota


def _seats(member: Member, told: Seats | None) -> Seats | None:
    """What the member tells, bounded by what the operator allows it."""
    if told is None or member.seats is None:
        return told
    return Seats(told.used, member.seats if told.quota is None else min(told.quota, member.seats))
