"""Keeps programs running: starts, starts again with back-off, ends them all. Knows not what they do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.local.child import Child, Program
from federation.local.orphans import end_orphans, orphans_tidy_up, reap_orphans

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 15.0  # seconds before a dead program is started again
_STEADY_AFTER = 30.0  # seconds of life after which an end counts as the first again
_REAP_EVERY = 5.0  # seconds between two looks for orphans that have ended
_TIDY_ROUNDS = 150  # looks for orphans that tidy up, 100 ms apart
_ORPHAN_ROUNDS = 40  # looks for orphans, 50 ms apart: each round ends one generation


def delay(failures: int) -> float:
    """Seconds to wait after so many ends in a row (1 or more): doubled each time, within limits."""
    return float(min(_FIRST_DELAY * 2 ** min(failures - 1, 10), _LONGEST_DELAY))


@dataclass(frozen=True, slots=True)
class Started:
    """A program runs, for the first time or again."""

    name: str
    pid: int
    again: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A program ended though nobody asked it to. `code` is negative for a signal, None: it did not start."""

    name: str
    code: int | None
    failures: int  # ends in a row, without a steady life between them
    next_start: float  # seconds from now
    problem: str = ""  # why it could not even be started


Fact = Started | Ended


@dataclass(slots=True)
class _Kept:
    program: Program
    child: Child | None = None
    failures: int = 0
    task: asyncio.Task[None] | None = field(default=None)


class Supervisor:
    """Owns the children from `start` to `stop`. Every change is told to the listener as a fact."""

    def __init__(self, programs: Sequence[Program], listener: Callable[[Fact], None]) -> None:
        self._kept = {program.name: _Kept(program) for program in programs}
        self._listener = listener
        self._stopping = asyncio.Event()

    def start(self, names: Collection[str]) -> None:
        """Starts these programs and keeps them running; each is started once."""
        for kept in (self._kept[name] for name in names):
            kept.task = asyncio.create_task(self._keep(kept), name=f"keep {kept.program.name}")

    def pid(self, name: str) -> int | None:
        child = self._kept[name].child
        return None if child is None else child.pid

    def failures(self, name: str) -> int:
        return self._kept[name].failures

    async def watch(self) -> None:
        """Lasts as long as the keepers do; raises what went wrong in one, so that it does not go unseen."""
        ended: set[asyncio.Task[None]] = set()
        while not ended:
            ended, _ = await asyncio.wait(
                self._tasks(), timeout=_REAP_EVERY, return_when=asyncio.FIRST_COMPLETED
            )
            reap_orphans(self._own())
        for task in ended:
            task.result()

    async def stop(self, grace: float, hurry: asyncio.Event) -> None:
        """Asks every child to end; kills those that take longer than `grace` seconds, or all when `hurry` is
        set, and everything they leave behind. Nothing of theirs runs when it returns, but for what tidies up
        after somebody in a hurry."""
        self._stopping.set()
        for child in self._children():
            child.ask_to_end()
        tasks = self._tasks()
        if tasks:
            impatience = asyncio.create_task(hurry.wait())
            everyone = asyncio.gather(*tasks, return_exceptions=True)
            both: set[asyncio.Future[Any]] = {everyone, impatience}
            await asyncio.wait(both, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            for child in self._children():
                child.kill()
            await everyone
            impatience.cancel()
        await self._end_orphans()
        await self._let_tidy(hurry)

    async def _keep(self, kept: _Kept) -> None:
        again = False
        while not self._stopping.is_set():
            code, problem = await self._live(kept, again=again)
            if self._stopping.is_set():
                return
            again = True
            await self._end_orphans()
            pause = delay(kept.failures)
            self._listener(Ended(kept.program.name, code, kept.failures, pause, problem))
            try:
                await asyncio.wait_for(self._stopping.wait(), pause)
            except TimeoutError:
                continue

    async def _live(self, kept: _Kept, *, again: bool) -> tuple[int | None, str]:
        try:
            child = Child(kept.program)
        except OSError as problem:
            kept.failures += 1
            return None, str(problem)
        kept.child = child
        self._listener(Started(kept.program.name, child.pid, again))
        try:
            code = await child.wait()
        finally:
            kept.child = None
        steady = time.monotonic() - child.started >= _STEADY_AFTER
        kept.failures = 1 if steady else kept.failures + 1
        return code, ""

    async def _end_orphans(self) -> None:
        for _ in range(_ORPHAN_ROUNDS):
            if end_orphans(self._own()) == 0:
                return
            await asyncio.sleep(0.05)

    async def _let_tidy(self, hurry: asyncio.Event) -> None:
        for _ in range(_TIDY_ROUNDS):
            if hurry.is_set() or not orphans_tidy_up(self._own()):
                return
            await asyncio.sleep(0.1)

    def _own(self) -> Collection[int]:
        return {child.pid for child in self._children()}

    def _children(self) -> list[Child]:
        return [kept.child for kept in self._kept.values() if kept.child is not None]

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [kept.task for kept in self._kept.values() if kept.task is not None]
