"""One relayed launch, told from its first event to its last: a story of attempts on members. Knows no HTTP.

A member's events pass untouched until the launch is over. A failure that is the member's own is swallowed before
`ready`; one plain event says so, and the next member continues the same stream. A member that stands still is not
given up but overtaken: the next one starts beside it, the first `ready` wins. From then on the newest one's events
pass, and the overtaken one's are held back, unless it is left alone or ends the launch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from federation.core.facts import (
    AttemptEnded,
    Chosen,
    Fact,
    LaunchEnded,
    Listener,
    Outcome,
    Overdue,
    PhaseEnded,
)
from federation.core.model import Decision, Launch
from federation.core.phases import Ending, Verdict
from federation.core.rules import LaunchRules
from federation.service import own_events
from federation.service.attempt import Attempt
from federation.service.audience import Audience
from federation.service.claim import Claim
from federation.service.dispatch import Dispatcher, InForce
from federation.service.entrance import Entrance, NoMember
from federation.service.ports import (
    Clock,
    Frame,
    Members,
    MemberStreams,
    Patience,
    RetryBudget,
    Visitor,
    WaitingRoom,
)
from federation.service.race import SIDE_BY_SIDE, Race, stands

MOST_REFUSED = 20  # seats in one launch that were gone when it came
OUTCOMES = {Ending.READY: Outcome.READY, Ending.FINAL: Outcome.FAILED, Ending.RETRYABLE: Outcome.LOST}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all relayed launches of a front door share."""

    pool: Members
    dispatcher: Dispatcher
    streams: MemberStreams
    room: WaitingRoom
    budget: RetryBudget
    patience: Patience
    in_force: InForce
    tell: Listener
    clock: Clock


class RelayedLaunch:
    """One launch under way. Until it ends otherwise, it is one that the visitor abandoned."""

    def __init__(
        self, launch: Launch, id: int, visitor: Visitor, audience: Audience, around: Surroundings
    ) -> None:
        def open_on(claim: Claim, after: str) -> AsyncGenerator[Frame, None]:
            return around.streams.open(claim.member, launch, visitor, after)

        self._launch = launch
        self._id = id
        self._with_token = visitor.vouched or bool(visitor.build_token)
        self._around = around
        self._entrance = Entrance(
            launch,
            visitor,
            audience,
            pool=around.pool,
            dispatcher=around.dispatcher,
            room=around.room,
            budget=around.budget,
        )
        self._race = Race(open_on, audience, around.patience)
        self._begun = _now()
        self._attempts = 0
        self._refused = 0  # of them, those that ended for want of a seat
        self._lost: dict[str, str] = {}  # members that are not to be tried again, and why
        self._last = ("", "")  # the one that could not finish it last, and why
        self._member: str | None = None  # the one that ended it, or the last one tried
        self._outcome = Outcome.ABANDONED
        self._cause = "abandoned"
        self._nobody: Decision | None = None  # the decision that found no member
        self._phases: tuple[tuple[str, float], ...] = ()  # on the one that ended it
        self._built = False

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """All events, to `ready` or the final `failed`. Closing it ends everything that runs for the launch."""
        self._around.budget.launched()
        await self._around.dispatcher.acquaint(self._launch)
        try:
            while self._outcome is Outcome.ABANDONED:
                async with aclosing(self._to_the_next()) as frames:
                    async for frame in frames:
                        yield frame
                async with aclosing(self._side_by_side()) as frames:
                    async for frame in frames:
                        yield frame
        finally:
            await self._end()

    async def _to_the_next(self) -> AsyncGenerator[Frame, None]:
        """Waiting, and the event that says who goes on with the launch; or that nobody does."""
        try:
            if self._attempts and self._spent >= self._rules().attempts:
                raise self._entrance.nobody_left(self._lost)
            async with aclosing(self._entrance.steps(self._lost)) as steps:
                async for step in steps:
                    yield self._handed(step) if isinstance(step, Claim) else step
        except NoMember as end:
            self._outcome, self._cause, self._nobody = Outcome.FAILED, end.cause, end.decision
            yield own_events.event("failed", str(end))

    async def _side_by_side(self) -> AsyncGenerator[Frame, None]:
        """What the visitor reads while members are at it. Ends when none is any more."""
        race = self._race
        while race.running:
            news = await race.news(hedging=self._spent < self._rules().attempts)
            if news is None:
                told = self._overtaken()
            else:
                attempt, told = news
                if told is None:
                    told = self._settled(attempt)
                elif attempt is not race.running[-1]:
                    continue
            if told is not None:
                yield told

    def _handed(self, claim: Claim, overtaken: str = "") -> Frame:
        """Starts an attempt; the event that says who has the launch now, and why."""
        name, why = claim.member.name, claim.decision.why
        if overtaken:
            message = f"{overtaken}; {name} is tried as well."
        elif self._member is None:
            message = f"{name} takes this launch: {why}."
        else:
            message = f"{self._last[0]} could not finish this launch ({self._last[1]}); {name} continues."
        self._member = name
        self._attempts += 1
        self._race.start(claim, self._attempts, self._rules())
        self._tell(Chosen(claim.decision, self._id, name, self._attempts, self._around.clock.now()))
        return own_events.event("waiting", message, member=name, attempt=self._attempts)

    def _overtaken(self) -> Frame | None:
        """Tells of attempts that stand still for too long, and starts another beside one that is alone."""
        still = self._race.overdue()
        for attempt in still:
            if not attempt.suspect:
                attempt.suspect = True
                attempt.claim.let_nobody_join()  # nobody else should join a build that stands still
                self._tell(
                    Overdue(
                        self._launch,
                        self._id,
                        attempt.name,
                        attempt.number,
                        attempt.progress.phase,
                        _now() - attempt.progress.since,
                    )
                )
        alone = len(self._race.running) < SIDE_BY_SIDE
        if not still or not alone or self._spent >= self._rules().attempts:
            return None
        claim = self._entrance.at_once([*self._lost, still[0].name])
        return None if claim is None else self._handed(claim, f"{still[0].name} {_standstill(still[0])}")

    def _settled(self, attempt: Attempt) -> Frame | None:
        """Draws the consequences of an attempt's end; what the visitor reads of it."""
        verdict = attempt.result()
        was_newest = attempt is self._race.running[-1]
        self._race.leave(attempt)
        if attempt.fault is not None and attempt.fault.unreachable:
            self._around.pool.refused(attempt.name, str(attempt.fault))
        why = verdict.message.strip().rstrip(".") or verdict.cause.replace("_", " ")
        self._ended(attempt, OUTCOMES[verdict.ending], verdict.cause, why)
        if self._is_over(verdict):
            self._outcome, self._cause = OUTCOMES[verdict.ending], verdict.cause
            self._member = attempt.name
            self._phases, self._built = attempt.progress.phases, attempt.progress.made
            self._overrule(attempt, verdict)
            return attempt.last
        self._last = (attempt.name, why)
        if verdict.cause == "quota" and self._may_wait():
            self._refused += 1
            self._entrance.full.add(attempt.name)
        else:
            self._lost[attempt.name] = why
        if not self._race.running or not was_newest:
            return None
        other = self._race.running[-1].name
        message = f"{attempt.name} could not finish this launch ({why}); {other} goes on with it."
        return own_events.event("waiting", message, member=other)

    @property
    def _spent(self) -> int:
        return self._attempts - self._refused

    def _may_wait(self) -> bool:
        """Whether a member that was full may be tried again when it has a seat: it was not the launch that failed."""
        return self._around.in_force().waiting.places > 0 and self._refused < MOST_REFUSED

    def _is_over(self, verdict: Verdict) -> bool:
        match verdict.ending:
            case Ending.READY:
                return True
            case Ending.FINAL:
                return stands(verdict, [attempt.progress for attempt in self._race.running])
            case _:
                return False

    def _overrule(self, winner: Attempt, verdict: Verdict) -> None:
        """Ends what runs beside the attempt that has ended the launch: it was stuck, or is merely not needed."""
        for other in self._race.overrule():
            if other.suspect and verdict.ending is Ending.READY:
                why = f"{_standstill(other)}, and {winner.name} was ready"
                self._ended(other, Outcome.LOST, "stuck", why)
            else:
                self._ended(other, Outcome.ABANDONED, "overtaken", f"{winner.name} ended the launch first")
        if verdict.ending is Ending.READY:
            for phase, seconds in winner.progress.phases:
                self._tell(PhaseEnded(winner.name, phase, seconds))

    async def _end(self) -> None:
        """Leaves nothing behind, and tells how the launch ended."""
        left, seconds = list(self._race.running), _now() - self._begun
        try:
            await self._race.close()
        finally:
            self._entrance.close()
            for attempt in left:
                self._ended(attempt, Outcome.ABANDONED, "abandoned", "the visitor left")
            self._tell(
                LaunchEnded(
                    self._launch,
                    self._id,
                    self._outcome,
                    self._member,
                    self._attempts,
                    self._cause,
                    seconds,
                    self._entrance.waited,
                    self._nobody,
                    self._around.clock.now(),
                    self._around.dispatcher.commit(self._launch),
                    self._phases,
                    self._built,
                    self._with_token,
                )
            )

    def _ended(self, attempt: Attempt, outcome: Outcome, cause: str, why: str) -> None:
        attempt.claim.close(ready=outcome is Outcome.READY)
        self._tell(
            AttemptEnded(
                self._launch,
                self._id,
                attempt.name,
                attempt.number,
                outcome,
                cause,
                why,
                _now() - attempt.begun,
                attempt.progress.phase,
            )
        )

    def _rules(self) -> LaunchRules:
        return self._around.in_force().launch

    def _tell(self, fact: Fact) -> None:
        self._around.tell(fact)


def _standstill(attempt: Attempt) -> str:
    return own_events.standstill(attempt.progress.phase, _now() - attempt.progress.since)


def _now() -> float:
    return asyncio.get_running_loop().time()
