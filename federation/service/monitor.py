"""Looks at every member again and again, each in a task of its own. Knows no wire and no rule of health.

The tasks follow the pool's members: after a new configuration they are started and ended. The next look at a
member is brought forward when a launch was refused there.
"""

from __future__ import annotations

from federation.core.facts import Fact, Listener, LookFailed, Reconfigured, StateChanged
from federation.core.model import State
from federation.core.policies import Dice
from federation.service.dispatch import InForce
from federation.service.per_member import PerMember, Watch
from federation.service.pool import Pool, same_place
from federation.service.ports import Prober

DOUBT = 0.1  # share of the interval until the next look at a member that has begun to look bad


class Monitor(Watch):
    """`async with` it: the tasks live inside the block and are ended with it."""

    def __init__(self, pool: Pool, prober: Prober, in_force: InForce, dice: Dice, tell: Listener) -> None:
        self._pool = pool
        self._prober = prober
        self._in_force = in_force
        self._dice = dice
        self._tasks = PerMember("monitor", self._look, self._pause, tell)

    def listen(self, fact: Fact) -> None:
        """A listener: looks at once at a member that began to look bad or was undrained, and at
        all under new rules."""
        match fact:
            case LookFailed(member) | StateChanged(member, before=State.DRAINED):
                self._tasks.hurry(member)
            case Reconfigured():
                self._follow()
                self._tasks.hurry_all()  # the old pause may be much longer than the new one
            case _:
                pass

    def _follow(self) -> None:
        self._tasks.follow(view.member.name for view in self._pool.views())

    async def _look(self, name: str) -> None:
        """One look that counts: one at a place that the member has left meanwhile does not."""
        while (view := self._pool.view(name)) is not None:
            result = await self._prober.probe(view.member)
            now = self._pool.view(name)
            if now is not None and same_place(now.member, view.member):
                self._pool.observe(result)
                return

    def _pause(self, name: str) -> float:
        rules = self._in_force().health
        spread = 1 + rules.jitter * (self._dice() - 0.5)
        return rules.interval * spread * (DOUBT if self._pool.doubtful(name) else 1)
