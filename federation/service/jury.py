"""What launches and versions say of members beside their peers. Knows no look, no lease and no snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from federation.core import evidence, intake, quorum
from federation.core import seats as seating
from federation.core.blame import Blame, blame
from federation.core.facts import AttemptEnded, CanaryEnded, LaunchEnded, Outcome
from federation.core.health import Event
from federation.core.model import TAKING, Operation, State
from federation.service.seat import Seat

LEAST_LEFT = 0.25  # share of the federation's capacity that launches alone never eject

Move = Callable[[Seat, Event, str], None]


class Jury:
    """Keeps each seat's evidence, and moves the members that it finds sick. `seats` may change under it."""

    def __init__(self, seats: Mapping[str, Seat], move: Move) -> None:
        self._seats = seats
        self._move = move

    def heard(self, fact: AttemptEnded | CanaryEnded, now: float) -> Seat | None:
        """One launch on one member has ended. The seat that it speaks of, None when that is gone."""
        seat = self._seats.get(fact.member)
        if seat is None:
            return None
        whose = blame(fact.outcome, fact.cause)
        of_old = fact.outcome is not Outcome.READY and _begun_before_its_return(fact, seat, now)
        if not of_old and (sample := evidence.sample_of(fact, now)) is not None:
            others = (other.evidence for other in self._seats.values() if other is not seat)
            mended = any(evidence.mended(other, fact.id, now) for other in others)
            seat.evidence = evidence.added(seat.evidence, replace(sample, confirmed=mended))
        if fact.outcome is Outcome.READY:
            for other in self._seats.values():
                if other is not seat:
                    other.evidence = evidence.confirmed(other.evidence, fact.id)
            seat.intake = intake.proved(seat.intake, seat.ledger.starting + 1)
            self._move(seat, Event.PROVED, "a launch on trial was ready")
        elif whose is Blame.CAPACITY:
            # Its lease is closed by now, so that it is not in the load any more.
            load = None if seat.view.seats is None else seat.view.load + 1
            seat.learned = seating.refused(seat.learned, load, now)
        elif whose is Blame.MEMBER and not of_old:
            seat.intake = intake.failed(seat.intake)
            self._move(seat, Event.FAILED, f"on trial a launch failed: {fact.why}")
        self.judge(now)
        return seat

    def counted(self, seat: Seat, good: int, bad: int, now: float) -> None:
        """So many more launches ended well and badly on a member, by what metrics count."""
        if not good and not bad:
            return
        seat.evidence = evidence.counted(seat.evidence, now, good, bad)
        if good > bad:
            self._move(seat, Event.PROVED, "launches on trial were ready")
        else:
            self._move(seat, Event.FAILED, "on trial launches failed")
        self.judge(now)

    def failed(self, fact: LaunchEnded, now: float) -> None:
        """A launch that was lost on several members and ready on none speaks of itself, or of what they share."""
        if fact.attempts > 1 and blame(fact.outcome, fact.cause) not in (Blame.REPOSITORY, Blame.VISITOR):
            for seat in self._seats.values():
                seat.evidence = evidence.withdrawn(seat.evidence, fact.id)
            self.judge(now)

    def judge(self, now: float) -> None:
        """Compares each member that takes launches with its peers, and ejects the sick ones if enough is left."""
        taking = [seat for seat in self._seats.values() if seat.standing.state in TAKING]
        for seat in taking:
            peers = [other.evidence for other in taking if other is not seat]
            seat.opinion = evidence.judged(seat.evidence, peers, now)
        for seat in taking:
            if seat.opinion.sick and self._dispensable(seat):
                self._move(seat, Event.SICK, seat.opinion.why)

    def compare_versions(self, now: float) -> None:
        """Notes since when a member runs other versions than most."""
        told = {seat.member.name: seat.look.versions for seat in self._seats.values() if not seat.drained}
        strange = quorum.outliers(told)
        for seat in self._seats.values():
            seat.stranger = strange.get(seat.member.name, "")
            if not seat.stranger:
                seat.stranger_since = None
            elif seat.stranger_since is None:
                seat.stranger_since = now

    def _dispensable(self, seat: Seat) -> bool:
        """Whether the others that take launches are a fair part of the federation, in seats (or weights). One on trial
        takes hardly any, and one that starts no sessions none."""
        asked = [other for other in self._seats.values() if not other.drained]
        in_seats = all(other.view.capacity for other in asked)
        sizes = {
            other: float(other.view.capacity or 0) if in_seats else other.member.weight for other in asked
        }
        left = sum(size for other, size in sizes.items() if other is not seat and _carries(other))
        return left > 0 and left >= LEAST_LEFT * sum(sizes.values())


def _carries(seat: Seat) -> bool:
    takes = seat.standing.state in TAKING and seat.standing.state is not State.TRIAL
    return takes and Operation.LAUNCH not in seat.look.lost


def _begun_before_its_return(fact: AttemptEnded | CanaryEnded, seat: Seat, now: float) -> bool:
    """Whether the launch began before the member came back from its ejection: its end tells of that time."""
    back = seat.standing.state in (State.TRIAL, State.RECOVERING)
    return back and 0 <= now - seat.standing.since < fact.seconds
