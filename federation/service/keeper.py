"""A part that acts every so often as long as its block lasts, and once more at its end. Knows nothing of what it does.

For what is kept over a restart: it is read before anything else happens, and written for the last time after it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from federation.core.facts import Listener, LoopFailed


class Keeper(ABC):
    """`async with` it: its task lives inside the block. `name` is for messages, `every` are the seconds between two
    turns. What goes wrong is told once, until it goes well again, and ends nothing."""

    def __init__(self, name: str, tell: Listener, every: float) -> None:
        self._name = name
        self._tell = tell
        self._every = every
        self._failing = False
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def _begin(self) -> None:
        """Before the block. Must not raise: the front door starts without what was kept."""

    @abstractmethod
    async def _turn(self, *, last: bool) -> None:
        """What is done every so often; the last time at the end of the block."""

    async def __aenter__(self) -> Self:
        await self._begin()
        self._task = asyncio.create_task(self._run(), name=self._name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()  # not cancelled: a write under way comes to its end, within its own limit
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        last = False
        while not last:
            last = await self._is_over()
            try:
                await self._turn(last=last)
            except Exception as error:  # of ours: it must not end the loop
                self._fault(error)

    async def _is_over(self) -> bool:
        """Whether the block ends before the next turn."""
        try:
            async with asyncio.timeout(self._every):
                return await self._ending.wait()
        except TimeoutError:
            return False

    def _fault(self, error: Exception) -> None:
        self._tell(LoopFailed(self._name, error))

    def _fails(self, error: Exception) -> None:
        """A file cannot be had, as with a full disk."""
        if not self._failing:
            self._fault(error)
        self._failing = True

    def _goes_well(self) -> None:
        self._failing = False
