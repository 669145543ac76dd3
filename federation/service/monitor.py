"""Looks at every member again and again, each in a task of its own. Knows no wire and no rule of health.

The tasks follow the pool's members: after a new configuration they are started and ended. The next look at a
member is brought forward when a launch was refused there.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from federation.core.facts import Fact, Listener, LookFailed, LoopFailed, Reconfigured
from federation.core.policies import Dice
from federation.service.dispatch import InForce
from federation.service.pool import Pool, same_place
from federation.service.ports import Prober

DOUBT = 0.1  # share of the interval until the next look at a member that has begun to look bad


class Monitor:
    """`async with` it: the tasks live inside the block and are ended with it."""

    def __init__(self, pool: Pool, prober: Prober, in_force: InForce, dice: Dice, tell: Listener) -> None:
        self._pool = pool
        self._prober = prober
        self._in_force = in_force
        self._dice = dice
        self._tell = tell
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Monitor:
        self._follow()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._tasks):
            self._end(name)
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def listen(self, fact: Fact) -> None:
        """A listener: looks at once at a member that began to look bad, and at all under new rules."""
        match fact:
            case LookFailed(member):
                self._hurry(member)
            case Reconfigured():
                self._follow()
                for member in self._wakes:  # the old pause may be much longer than the new one
                    self._hurry(member)
            case _:
                pass

    def _follow(self) -> None:
        """Starts a task for every member of the pool that has none; ends those of members that are gone."""
        names = {view.member.name for view in self._pool.views()}
        for name in self._tasks.keys() - names:
            self._end(name)
        for name in names - self._tasks.keys():
            self._wakes[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._watch(name), name=f"monitor {name}")

    def _end(self, name: str) -> None:
        task = self._tasks.pop(name)
        self._wakes.pop(name)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        task.cancel()

    def _hurry(self, name: str) -> None:
        wake = self._wakes.get(name)
        if wake is not None:
            wake.set()

    async def _watch(self, name: str) -> None:
        wake = self._wakes[name]
        while True:
            try:
                await self._look(name)
            except Exception as error:  # a fault of ours must not leave a member unwatched for ever
                self._tell(LoopFailed(f"monitor of {name}", error))
            # Only now: the look that has just failed must not hurry the next one on.
            wake.clear()
            try:
                async with asyncio.timeout(self._pause(name)):
                    await wake.wait()
            except TimeoutError:
                pass

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
