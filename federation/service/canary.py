"""Launches of our own on members that had none for a while. Knows no wire, and judges no member.

A member that takes launches, and that no visitor was sent to for so long, is launched on directly, past all routing:
one launch at a time on a member, and few in all. One on trial gets its launch at once, so that it comes back
in a federation without visitors too. When a launch fails, the idle members are all tried again soon: the one that
failed, since one failure is chance, and the others, since they tell whether it is the repository.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing

from federation.core.blame import AGAINST_THE_MEMBER, blame
from federation.core.evidence import FEWEST
from federation.core.facts import (
    AttemptEnded,
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
from federation.core.rules import CanaryRules
from federation.service.dispatch import InForce
from federation.service.own_launch import Ended, OwnLaunches, report
from federation.service.per_member import PerMember, Watch
from federation.service.pool import Pool, same_place

MOST = 3  # at a time, over all members
DOUBT = 0.1  # share of the time between two launches while a failed one is looked into
DOUBTED = 2 * FEWEST  # failures in a row until that is over: they have told what they can tell
SOON = 1.0  # seconds until one that cannot take a launch now is looked at again
NEVER = 3600.0  # seconds; a new configuration is told anyway


class Canaries(Watch):
    """`async with` it: the tasks and launches live inside the block and are ended with it."""

    def __init__(self, pool: Pool, own: OwnLaunches, in_force: InForce, tell: Listener) -> None:
        self._pool = pool
        self._own = own
        self._in_force = in_force
        self._tell = tell
        self._visited: dict[str, float] = {}  # the last visitor's launch, on the loop's clock
        self._launched: dict[str, float] = {}  # the last one of ours
        self._failed: dict[str, int] = {}  # launches of ours in a row that a member failed by its own fault
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
        launch = parse_spec(rules.spec)
        async with aclosing(self._own.run(member, launch)) as told:
            async for one in told:
                if isinstance(one, Ended):
                    self._ended(member, launch, one)

    def _ended(self, member: Member, launch: Launch, ended: Ended) -> None:
        now = self._pool.view(member.name)
        if now is None or not same_place(now.member, member):
            return
        self._launched[member.name] = _now()
        self._note(member.name, ended.outcome, ended.verdict.cause)
        report(self._pool, self._tell, member, launch, ended)

    def _note(self, name: str, outcome: Outcome, cause: str) -> None:
        """Before it is told: what follows from it may end the doubt."""
        if blame(outcome, cause) not in AGAINST_THE_MEMBER:
            self._failed.pop(name, None)
            return
        self._failed[name] = self._failed.get(name, 0) + 1
        self._tasks.hurry_all()


def _now() -> float:
    return asyncio.get_running_loop().time()
