"""The way of one launch to a member that takes it, through the waiting room if need be. Knows no stream of a member.

Whoever enters takes the seat in the same step as the decision. A member that is only a last resort, such as one that
has not been looked at yet, is used when the room refuses, never in place of waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing

from federation.core.errors import FederationError, LaunchError, RoomFull, WaitedTooLong
from federation.core.model import Decision, Launch, State
from federation.service import own_events
from federation.service.audience import Audience
from federation.service.claim import Claim
from federation.service.dispatch import Dispatcher
from federation.service.ports import Entered, Frame, Members, RetryBudget, Visitor, WaitingRoom

NO_RETRY = "Many launches fail just now, so that another member is tried only by turns."


class NoMember(FederationError):
    """The launch ends, since no member takes it. `cause` is one word for metrics; the text is for the visitor, and
    `decision` for who asks why."""

    def __init__(self, cause: str, message: str, decision: Decision) -> None:
        super().__init__(message)
        self.cause = cause
        self.decision = decision


class Entrance:
    """Finds members for one launch, one after the other."""

    def __init__(
        self,
        launch: Launch,
        visitor: Visitor,
        audience: Audience,
        *,
        pool: Members,
        dispatcher: Dispatcher,
        room: WaitingRoom,
        budget: RetryBudget,
    ) -> None:
        self.waited = 0.0  # seconds in the room so far
        self.full: set[str] = set()  # members that refused this launch for want of a seat
        self._launch = launch
        self._visitor = visitor
        self._audience = audience
        self._pool = pool
        self._dispatcher = dispatcher
        self._room = room
        self._budget = budget
        self._claim: Claim | None = None  # taken, and not handed on yet
        self._withheld = False  # a member would take it, but the retry budget does not allow for it now

    def at_once(self, tried: Collection[str]) -> Claim | None:
        """A fit member that none of those who wait has a right to, if there is one."""
        if self._room.crowded or self._enter(tried) is None:
            return None
        return self._handed_on()

    async def steps(self, lost: Mapping[str, str]) -> AsyncGenerator[Frame | Claim, None]:
        """What the visitor reads while waiting, then a member that takes the launch.

        `lost` are the members that were tried, and why they could not finish it. Raises `NoMember`.
        """
        claim = self.at_once(lost)
        if claim is None:
            self._refuse_vain_waiting(lost)
            async with aclosing(self._waiting(lost)) as frames:
                async for frame in frames:
                    yield frame
            claim = self._handed_on()
        yield claim

    def close(self) -> None:
        """Gives back a seat that was taken for a launch that did not come for it."""
        if self._claim is not None:
            self._claim.close()

    async def _waiting(self, lost: Mapping[str, str]) -> AsyncGenerator[Frame, None]:
        """Ends when a member is there. Raises `NoMember`."""
        begun = _now()
        wait = self._room.wait(self._launch, self._visitor.ip, self._audience, lambda: self._enter(lost))
        try:
            async with aclosing(wait) as steps:
                async for step in steps:
                    if isinstance(step, Entered):
                        return
                    yield own_events.in_line(self._why(lost), step)
        except RoomFull as error:
            self._last_resort(lost, error)
        except WaitedTooLong as error:
            raise self._no_member("waited_too_long", self._in_full(error, lost), lost) from error
        finally:
            self.waited += _now() - begun

    def _enter(self, tried: Collection[str]) -> Claim | None:
        decision = self._dispatcher.decide(self._launch, tried, self.full)
        if decision.last_resort or not decision.candidates:
            self._withheld = False
            return None
        return self._take(decision, tried)

    def _take(self, decision: Decision, tried: Collection[str]) -> Claim | None:
        self._withheld = bool(tried) and not self._budget.granted()
        if self._withheld:
            return None
        self.close()
        self._claim = Claim(self._pool, self._dispatcher, decision)
        return self._claim

    def _handed_on(self) -> Claim:
        claim, self._claim = self._claim, None
        assert claim is not None, "the room let a launch in that had not entered"
        return claim

    def _last_resort(self, lost: Mapping[str, str], error: RoomFull) -> None:
        """Takes what is left when the launch cannot wait, but no seat that others wait for."""
        decision = self._dispatcher.decide(self._launch, lost)
        first = decision.candidates[0].view if decision.candidates else None
        free = first is not None and (first.state is State.UNKNOWN or not self._room.crowded)
        if free and self._take(decision, lost) is not None:
            return
        if self._withheld:
            raise NoMember("retry_budget", self._in_full(LaunchError(NO_RETRY), lost), decision) from error
        if self._room.crowded:
            raise NoMember("room_full", self._in_full(error, lost), decision) from error
        raise self.nobody_left(lost) from error

    def _refuse_vain_waiting(self, lost: Mapping[str, str]) -> None:
        """Nobody waits for members that do not come back by themselves: drained ones, and those tried already."""
        views = self._pool.views()
        if all(view.state is State.DRAINED or view.member.name in lost for view in views):
            raise self.nobody_left(lost)

    def nobody_left(self, lost: Mapping[str, str]) -> NoMember:
        """That all members it may try were tried, or that there is none to try."""
        decision = self._dispatcher.decide(self._launch, lost)
        return NoMember(
            "no_member", own_events.nobody_left(lost) if lost else own_events.nobody(decision), decision
        )

    def _no_member(self, cause: str, message: str, lost: Mapping[str, str]) -> NoMember:
        return NoMember(cause, message, self._dispatcher.decide(self._launch, lost))

    def _why(self, tried: Collection[str]) -> str:
        return NO_RETRY if self._withheld else own_events.why_waiting(self._pool.views(), tried)

    def _in_full(self, error: LaunchError, lost: Mapping[str, str]) -> str:
        if lost:
            return f"{own_events.nobody_left(lost)} {error.message.strip()}"
        return f"{error.message.strip()} {own_events.reasons(self._dispatcher.decide(self._launch))}."


def _now() -> float:
    return asyncio.get_running_loop().time()
