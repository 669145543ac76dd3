"""Launches of our own on members that had none for a while. Knows no wire, and judges no member.

A member that takes launches, and that no visitor was sent to for so long, is launched on directly, past all routing:
one launch at a time on a member, and few in all. One on trial gets its launch at once, so that it comes back
in a federation without visitors too. When a launch fails, the idle members are all tried again soon: the one that
failed, since one failure is chance, and the others, since they tell whether it is the repository.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from federation.core.blame import AGAINST_THE_MEMBER, blame
from federation.core.errors import MemberFault
from federation.core.evidence import FEWEST
from federation.core.facts import (
    AttemptEnded,
    CanaryEnded,
    Chosen,
    Fact,
    Listener,
    Outcome,
    Reconfigured,
    Redirected,
    StateChanged,
)
from federation.core.launchkey import parse_spec
from federation.core.model import TAKING, Launch, Member, State
from federation.core.phases import Ending, Event, Verdict
from federation.core.progress import Progress
from federation.core.rules import CanaryRules, LaunchRules, Settings
from federation.service.audience import Audience
from federation.service.dispatch import InForce
from federation.service.leases import Lease
from federation.service.member_link import MemberLink
from federation.service.per_member import PerMember, Watch
from federation.service.pool import Pool, same_place
from federation.service.ports import Frame, MemberStreams, SessionEnd, Visitor
from federation.service.relay_launch import OUTCOMES

MOST = 3  # at a time, over all members
DOUBT = 0.1  # share of the time between two launches while a failed one is looked into
DOUBTED = 2 * FEWEST  # failures in a row until that is over: they have told what they can tell
SOON = 1.0  # seconds until one that cannot take a launch now is looked at again
NEVER = 3600.0  # seconds; a new configuration is told anyway


@dataclass(frozen=True, slots=True)
class _End:
    """How a launch ended, and the event that ended it, if one did."""

    verdict: Verdict
    event: Event = field(default_factory=dict)
    unreachable: bool = False


class Canaries(Watch):
    """`async with` it: the tasks and launches live inside the block and are ended with it."""

    def __init__(
        self, pool: Pool, streams: MemberStreams, sessions: SessionEnd, in_force: InForce, tell: Listener
    ) -> None:
        self._pool = pool
        self._streams = streams
        self._sessions = sessions
        self._in_force = in_force
        self._tell = tell
        self._visited: dict[str, float] = {}  # the last visitor's launch, on the loop's clock
        self._launched: dict[str, float] = {}  # the last one of ours
        self._failed: dict[str, int] = {}  # launches of ours in a row that a member failed by its own fault
        self._ids: dict[str, int] = {}  # by spec
        self._slots = asyncio.Semaphore(MOST)
        self._tasks = PerMember("canary", self._act, self._pause, tell)

    def listen(self, fact: Fact) -> None:
        """A listener: notes who has visitors, and hurries to a member on trial."""
        match fact:
            case Redirected():
                self._visited[fact.view.member.name] = _now()  # and how it ends there is not seen
            case Chosen(member=name) | AttemptEnded(member=name):
                self._visited[name] = _now()
                self._failed.pop(name, None)  # from here on visitors tell
            case StateChanged(member=name, after=State.TRIAL):
                self._visited[name] = self._launched[name] = -math.inf
                self._tasks.hurry(name)
            case StateChanged(member=name, after=after) if after not in TAKING:
                self._failed.pop(name, None)
            case Reconfigured():
                self._follow()
                self._tasks.hurry_all()
            case _:
                pass

    def _follow(self) -> None:
        names = [view.member.name for view in self._pool.views()]
        now = _now()
        self._visited = {name: self._visited.get(name, now) for name in names}
        self._launched = {name: at for name, at in self._launched.items() if name in names}
        self._failed = {name: count for name, count in self._failed.items() if name in names}
        self._tasks.follow(names)

    async def _act(self, name: str) -> None:
        if self._wanted(name) is None:
            return
        async with self._slots:
            # Asked again: a visitor may have come while others were launched on.
            if (wanted := self._wanted(name)) is not None:
                await self._launch(*wanted)

    def _pause(self, name: str) -> float:
        rules = self._rules()
        if rules is None:
            return NEVER
        return max(self._left(name, rules), min(SOON, rules.every * DOUBT))

    def _wanted(self, name: str) -> tuple[Member, CanaryRules] | None:
        """Whether it is time for a launch on this member, and it can take one."""
        view, rules = self._pool.view(name), self._rules()
        if view is None or rules is None or view.refusal is not None or self._pool.blind_since is not None:
            return None
        return (view.member, rules) if self._left(name, rules) <= 0 else None

    def _left(self, name: str, rules: CanaryRules) -> float:
        """Seconds until the next launch on this member. Doubt hastens none where visitors are sent: they tell."""
        doubted = any(count < DOUBTED for count in self._failed.values())
        again = rules.every * (DOUBT if doubted else 1)
        due = max(
            self._visited.get(name, -math.inf) + rules.every, self._launched.get(name, -math.inf) + again
        )
        return due - _now()

    def _rules(self) -> CanaryRules | None:
        return self._in_force().health.canary

    async def _launch(self, member: Member, rules: CanaryRules) -> None:
        launch, begun = parse_spec(rules.spec), _now()
        with self._pool.lease(member.name) as lease:
            end = await self._read(member, launch, lease)
            ready = end.verdict.ending is Ending.READY
            lease.close(ready=ready)
        now = self._pool.view(member.name)
        if now is not None and same_place(now.member, member):
            self._ended(member.name, launch, end, _now() - begun)
        if ready:
            await self._end_session(end.event)

    async def _read(self, member: Member, launch: Launch, lease: Lease) -> _End:
        """The member's stream to its end, as a visitor's launch is read."""
        settings, progress, audience = self._in_force(), Progress(_now()), Audience()
        visitor = _ourselves(settings)

        def opened(after: str) -> AsyncGenerator[Frame, None]:
            progress.connected_anew(_now())
            return self._streams.open(member, launch, visitor, after)

        audience.join()
        link = MemberLink(opened, audience, settings.launch.timeout)
        try:
            return await _read(link, progress, lease, settings.launch)
        except MemberFault as fault:
            verdict = Verdict(Ending.RETRYABLE, fault.cause, str(fault))
            return _End(verdict, unreachable=fault.unreachable)

    def _ended(self, name: str, launch: Launch, end: _End, seconds: float) -> None:
        verdict = end.verdict
        outcome, why = OUTCOMES[verdict.ending], verdict.message.strip().rstrip(".")
        self._launched[name] = _now()
        self._note(name, outcome, verdict.cause)
        if end.unreachable:
            self._pool.refused(name, why)
        id = self._ids.setdefault(launch.path, -1 - len(self._ids))
        why = why or verdict.cause.replace("_", " ")
        self._tell(CanaryEnded(name, id, launch, outcome, verdict.cause, why, seconds))

    def _note(self, name: str, outcome: Outcome, cause: str) -> None:
        """Before it is told: what follows from it may end the doubt."""
        if blame(outcome, cause) not in AGAINST_THE_MEMBER:
            self._failed.pop(name, None)
            return
        self._failed[name] = self._failed.get(name, 0) + 1
        self._tasks.hurry_all()

    async def _end_session(self, event: Event) -> None:
        url, token = event.get("url"), event.get("token")
        if isinstance(url, str) and isinstance(token, str):
            await self._sessions.end(url, token)


async def _read(link: MemberLink, progress: Progress, lease: Lease, rules: LaunchRules) -> _End:
    async with aclosing(link.frames()) as frames:
        while True:
            try:
                async with asyncio.timeout_at(progress.since + rules.stuck_after):
                    frame = await anext(frames, None)
            except TimeoutError:
                why = f"has not moved for {rules.stuck_after:g} s in {progress.phase}"
                return _End(Verdict(Ending.RETRYABLE, "stuck", why))
            if frame is None:
                return _End(Verdict(Ending.RETRYABLE, "broken_off", "ended the stream early"))
            verdict = progress.take(frame.event, frame.id.partition(".")[0], _now())
            lease.builds(progress.building)
            if verdict is not None:
                return _End(verdict, frame.event)


def _ourselves(settings: Settings) -> Visitor:
    """Vouched for, so that a member that asks for build tokens gets one."""
    url = urlsplit(settings.public_url or "http://localhost")
    return Visitor("127.0.0.1", url.scheme, url.netloc, vouched=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
