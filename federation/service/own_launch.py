"""One launch of our own on one member, past all routing, read as a visitor's is. Knows neither why it is made nor any
other member, and judges nobody.

It holds a seat while it runs, and the session that came up is asked to end itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import urlsplit

from federation.core.errors import MemberFault
from federation.core.facts import CanaryEnded, Listener, Outcome
from federation.core.model import Launch, Member
from federation.core.phases import Ending, Event, Verdict
from federation.core.progress import Progress
from federation.core.rules import Settings
from federation.service.audience import Audience
from federation.service.dispatch import InForce
from federation.service.leases import Lease
from federation.service.member_link import MemberLink
from federation.service.ports import Frame, Members, MemberStreams, SessionEnd, Visitor
from federation.service.relay_launch import OUTCOMES


@dataclass(frozen=True, slots=True)
class Ended:
    """How a launch ended after `seconds`, and the event that ended it, if one did. `phases` are what it came through,
    in seconds; `unreachable` tells that the member did not even accept the connection."""

    verdict: Verdict
    seconds: float
    event: Event = field(default_factory=dict)
    phases: tuple[tuple[str, float], ...] = ()
    unreachable: bool = False

    @property
    def outcome(self) -> Outcome:
        return OUTCOMES[self.verdict.ending]

    @property
    def why(self) -> str:
        """Part of a sentence."""
        return self.verdict.message.strip().rstrip(".") or self.verdict.cause.replace("_", " ")


class OwnLaunches:
    """What launches of our own need, whoever makes them."""

    def __init__(
        self, pool: Members, streams: MemberStreams, sessions: SessionEnd, in_force: InForce
    ) -> None:
        self._pool = pool
        self._streams = streams
        self._sessions = sessions
        self._in_force = in_force

    async def run(self, member: Member, launch: Launch) -> AsyncGenerator[Frame | Ended]:
        """The member's events as they come, and how it ended at last, within the limits of any launch. Never raises
        for a fault of the member. Closing the generator leaves the member's launch, and its session if there is one."""
        ended: Ended | None = None
        try:
            with self._pool.lease(member.name) as lease:
                async with aclosing(self._told(member, launch, lease)) as told:
                    async for one in told:
                        match one:
                            case Ended():
                                ended = one
                                lease.close(ready=one.verdict.ending is Ending.READY)
                            case Frame():
                                yield one
            if ended is not None:
                yield ended
        finally:
            if ended is not None and ended.verdict.ending is Ending.READY:
                await self._end_session(ended.event)

    async def _told(self, member: Member, launch: Launch, lease: Lease) -> AsyncGenerator[Frame | Ended]:
        """The event that ends the launch comes after what it means: whoever leaves in between leaves a session."""
        settings, begun, audience = self._in_force(), _now(), Audience()
        progress, visitor = Progress(begun), _ourselves(settings)

        def opened(after: str) -> AsyncGenerator[Frame, None]:
            progress.connected_anew(_now())
            return self._streams.open(member, launch, visitor, after)

        def ended(verdict: Verdict, event: Event = NO_EVENT, *, unreachable: bool = False) -> Ended:
            return Ended(verdict, _now() - begun, event, progress.phases, unreachable)

        audience.join()
        link = MemberLink(opened, audience, settings.launch.timeout)
        try:
            async with aclosing(link.frames()) as frames:
                while True:
                    frame = await _next(frames, progress, settings.launch.stuck_after)
                    if isinstance(frame, Verdict):
                        yield ended(frame)
                        return
                    verdict = progress.take(frame.event, frame.id.partition(".")[0], _now())
                    lease.builds(progress.building)
                    if verdict is not None:
                        yield ended(verdict, frame.event)
                    handed = _now()
                    yield frame
                    progress.held_up(_now() - handed)
                    if verdict is not None:
                        return
        except MemberFault as fault:
            verdict = Verdict(Ending.RETRYABLE, fault.cause, str(fault))
            yield ended(verdict, unreachable=fault.unreachable)

    async def _end_session(self, event: Event) -> None:
        url, token = event.get("url"), event.get("token")
        if isinstance(url, str) and isinstance(token, str):
            await self._sessions.end(url, token)


NO_EVENT: Event = {}


def report(pool: Members, tell: Listener, member: Member, launch: Launch, ended: Ended) -> None:
    """Tells how it ended, which is evidence of the member as a visitor's launch is."""
    if ended.unreachable:
        pool.refused(member.name, ended.why)
    cause = ended.verdict.cause
    tell(CanaryEnded(member.name, number(launch), launch, ended.outcome, cause, ended.why, ended.seconds))


def number(launch: Launch) -> int:
    """The number of all launches of our own of this spec: below 0, where no visitor's is."""
    return -1 - int.from_bytes(blake2b(launch.path.encode(), digest_size=6).digest())


async def _next(frames: AsyncGenerator[Frame], progress: Progress, stuck_after: float) -> Frame | Verdict:
    """The next event, or what it means that there is none."""
    try:
        async with asyncio.timeout_at(progress.since + stuck_after):
            frame = await anext(frames, None)
    except TimeoutError:
        return Verdict(Ending.RETRYABLE, "stuck", f"has not moved for {stuck_after:g} s in {progress.phase}")
    return frame or Verdict(Ending.RETRYABLE, "broken_off", "ended the stream early")


def _ourselves(settings: Settings) -> Visitor:
    """Vouched for, so that a member that asks for build tokens gets one."""
    url = urlsplit(settings.public_url or "http://localhost")
    return Visitor("127.0.0.1", url.scheme, url.netloc, vouched=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
