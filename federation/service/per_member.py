"""One task per member, each doing the same again and again. Knows neither what is done nor any rule of time."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Self

from federation.core.facts import Listener, LoopFailed


class Watch(ABC):
    """Tasks that follow the members. `async with` it: they live inside the block and are ended with it."""

    _tasks: PerMember

    async def __aenter__(self) -> Self:
        self._follow()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.close()

    @abstractmethod
    def _follow(self) -> None:
        """Gives every member that there is now its task, and takes it from those that are gone."""


class PerMember:
    """`title` names the tasks and their faults, such as `monitor of alpha`. `act` is done for a member, then the
    `pause` for it in seconds goes by, unless it is hurried. `close` ends all tasks."""

    def __init__(
        self,
        title: str,
        act: Callable[[str], Awaitable[None]],
        pause: Callable[[str], float],
        tell: Listener,
    ) -> None:
        self._title = title
        self._act = act
        self._pause = pause
        self._tell = tell
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def follow(self, members: Iterable[str]) -> None:
        """Starts a task for every member that has none; ends those of members that are gone."""
        names = set(members)
        for name in self._tasks.keys() - names:
            self._end(name)
        for name in names - self._tasks.keys():
            self._wakes[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._run(name), name=f"{self._title} {name}")

    def hurry(self, name: str) -> None:
        """Ends this member's present pause, if it has one."""
        wake = self._wakes.get(name)
        if wake is not None:
            wake.set()

    def hurry_all(self) -> None:
        for wake in self._wakes.values():
            wake.set()

    async def close(self) -> None:
        for name in list(self._tasks):
            self._end(name)
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _end(self, name: str) -> None:
        task = self._tasks.pop(name)
        self._wakes.pop(name)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        task.cancel()

    async def _run(self, name: str) -> None:
        wake = self._wakes[name]
        while True:
            try:
                await self._act(name)
            except Exception as error:  # a fault of ours must not leave a member alone for ever
                self._tell(LoopFailed(f"{self._title} of {name}", error))
            # Only now: what has just been done must not hurry the next time on.
            wake.clear()
            try:
                async with asyncio.timeout(self._pause(name)):
                    await wake.wait()
            except TimeoutError:
                pass
