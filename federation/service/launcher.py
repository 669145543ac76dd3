"""Carries one launch to its end: over as many members as it takes, or by handing it to one. Knows no HTTP.

Relay passes a member's events on untouched until the launch is over. A failure that is the member's own is
swallowed before `ready`; one plain event says so, and the next member continues the same stream.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from federation.core.errors import LaunchError, MemberFault
from federation.core.facts import AttemptEnded, Chosen, LaunchEnded, Listener, Outcome, Redirected
from federation.core.model import Decision, Launch, Member
from federation.core.phases import Ending, Verdict, judge, past_the_build, phase_of
from federation.service.audience import Audience
from federation.service.dispatch import Dispatcher, InForce
from federation.service.member_link import MemberLink
from federation.service.pool import Pool
from federation.service.ports import Frame, MemberStreams, Visitor

OUTCOMES = {Ending.READY: Outcome.READY, Ending.FINAL: Outcome.FAILED, Ending.RETRYABLE: Outcome.LOST}


@dataclass(slots=True)
class _Story:
    """One launch under way. Until it ends otherwise, it is one that the visitor abandoned."""

    launch: Launch
    id: int
    visitor: Visitor
    audience: Audience
    begun: float
    member: str | None = None
    lost: dict[str, str] = field(default_factory=dict)  # members that could not finish it, and why
    outcome: Outcome = Outcome.ABANDONED
    cause: str = "abandoned"

    @property
    def attempts(self) -> int:
        return len(self.lost) + (self.member is not None and self.member not in self.lost)


class Launcher:
    """Relays and redirects launches; tells `tell` how each attempt and each launch ended."""

    def __init__(
        self,
        pool: Pool,
        dispatcher: Dispatcher,
        streams: MemberStreams,
        in_force: InForce,
        tell: Listener,
    ) -> None:
        self._pool = pool
        self._dispatcher = dispatcher
        self._streams = streams
        self._in_force = in_force
        self._tell = tell
        self._ids = count(1)

    def would_take(self, launch: Launch) -> Member:
        """The member that this launch would be handed to. Raises `LaunchError` when none can take it."""
        return _first_of(self._dispatcher.decide(launch))

    def hand_over(self, launch: Launch) -> Member | None:
        """The member that this launch is handed to; None, and nothing told, when none can take it."""
        view = self._dispatcher.choose(launch)
        if view is None:
            return None
        self._tell(Redirected(launch, next(self._ids), view, self._pool.views()))
        return view.member

    def redirect(self, launch: Launch) -> Member:
        """The member that this launch is handed to. Raises `LaunchError` when none can take it."""
        member = self.hand_over(launch)
        if member is None:
            self._tell(LaunchEnded(launch, next(self._ids), Outcome.FAILED, None, 0, "no_member", 0.0))
            raise LaunchError(_nobody(self._dispatcher.decide(launch)))
        return member

    async def relay(
        self, launch: Launch, visitor: Visitor, audience: Audience
    ) -> AsyncGenerator[Frame, None]:
        """The events of this launch, from whichever members they come, to `ready` or the final `failed`.

        While the audience is empty, a member that can go on later is left alone. Close it
        (`contextlib.aclosing`) when nobody wants it any more: that closes the member's stream at once.
        """
        story = _Story(launch, next(self._ids), visitor, audience, _now())
        try:
            while story.outcome is Outcome.ABANDONED:
                decision = self._dispatcher.decide(launch, story.lost)
                if not decision.candidates or len(story.lost) >= self._in_force().launch.attempts:
                    story.outcome, story.cause = Outcome.FAILED, "no_member"
                    yield _event(phase="failed", message=_no_member_left(story, decision) + "\n")
                    break
                member = decision.candidates[0].view.member
                yield self._handed(story, decision, member)
                async with aclosing(self._attempt(story, member)) as frames:
                    async for frame in frames:
                        yield frame
        finally:
            seconds = _now() - story.begun
            self._tell(
                LaunchEnded(
                    launch, story.id, story.outcome, story.member, story.attempts, story.cause, seconds
                )
            )

    def _handed(self, story: _Story, decision: Decision, member: Member) -> Frame:
        """The event that says who goes on with the launch, and why."""
        if story.member is None:
            message = f"{member.name} takes this launch: {decision.why}."
        else:
            why = story.lost[story.member]
            message = f"{story.member} could not finish this launch ({why}); {member.name} continues."
        story.member = member.name
        self._tell(Chosen(decision, story.id, member.name, story.attempts))
        return _event(phase="waiting", message=message + "\n", member=member.name, attempt=story.attempts)

    async def _attempt(self, story: _Story, member: Member) -> AsyncGenerator[Frame, None]:
        """What this member sends; when it has ended, the story knows how."""
        begun = _now()
        verdict: Verdict | None = None
        built, origin = False, ""
        try:
            with (
                self._pool.lease(member.name),
                self._dispatcher.under_way(story.launch, member.name) as built_now,
            ):
                async with aclosing(self._link(story, member).frames()) as frames:
                    async for frame in frames:
                        if (source := frame.id.partition(".")[0]) != origin:
                            built, origin = False, source  # the member began anew
                        verdict = judge(frame.event, built=built)
                        if verdict is None:
                            if not built and past_the_build(phase_of(frame.event)):
                                built = True
                                built_now()
                            yield frame
                            continue
                        if verdict.ending is not Ending.RETRYABLE:
                            yield frame
                        break
                    else:
                        verdict = Verdict(Ending.RETRYABLE, "broken_off", "ended the stream early")
        except MemberFault as fault:
            verdict = Verdict(Ending.RETRYABLE, fault.cause, str(fault))
            if fault.unreachable:
                self._pool.refused(member.name, str(fault))
        finally:
            self._ended(story, member, verdict, _now() - begun)

    def _link(self, story: _Story, member: Member) -> MemberLink:
        """The way to the member's frames, within the time that one launch may take on one member."""

        def open_stream(after: str) -> AsyncGenerator[Frame, None]:
            return self._streams.open(member, story.launch, story.visitor, after)

        return MemberLink(open_stream, story.audience, self._in_force().launch.timeout)

    def _ended(self, story: _Story, member: Member, verdict: Verdict | None, seconds: float) -> None:
        outcome, cause, why = Outcome.ABANDONED, "abandoned", "the visitor left"
        attempt = story.attempts
        if verdict is not None:
            outcome, cause = OUTCOMES[verdict.ending], verdict.cause
            why = verdict.message.strip().rstrip(".") or cause.replace("_", " ")
        if outcome is Outcome.LOST:
            story.lost[member.name] = why
        else:
            story.outcome, story.cause = outcome, cause
        self._tell(AttemptEnded(story.launch, story.id, member.name, attempt, outcome, cause, why, seconds))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _event(**fields: Any) -> Frame:
    return Frame(json.dumps(fields).encode(), fields)


def _first_of(decision: Decision) -> Member:
    if not decision.candidates:
        raise LaunchError(_nobody(decision))
    return decision.candidates[0].view.member


def _no_member_left(story: _Story, decision: Decision) -> str:
    if not story.lost:
        return _nobody(decision)
    causes = "; ".join(f"{name}: {why}" for name, why in story.lost.items())
    return f"No member could finish this launch. {causes}."


def _nobody(decision: Decision) -> str:
    causes = "; ".join(f"{excluded.name}: {excluded.reason}" for excluded in decision.exclusions)
    return f"No member can take a launch now, please try again in a few minutes. {causes or 'There is none'}."
