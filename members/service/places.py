"""A number of places and a fair queue for them, in which each one knows its number. Knows no builds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

Moved = Callable[[int], None]


@dataclass(eq=False, slots=True)
class _Waiter:
    turn: asyncio.Future[None]
    moved: Moved


class Places:
    """Who came first gets the next free place."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: list[_Waiter] = []

    @asynccontextmanager
    async def taken(self, moved: Moved) -> AsyncIterator[None]:
        """A place for the length of the block.

        While there is none, `moved` is told the number in the queue, from 1, and every change of it. Who is
        cancelled has left the queue.
        """
        await self._take(moved)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, moved: Moved) -> None:
        if self._free > 0 and not self._queue:
            self._free -= 1
            return
        waiter = _Waiter(asyncio.get_running_loop().create_future(), moved)
        self._queue.append(waiter)
        moved(len(self._queue))
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._queue:
                self._leave(self._queue.index(waiter))
                self._hand_over()  # a place that came free while this one stood in the way
            else:  # the place was handed over in the same moment
                self._give_back()
            raise

    def _give_back(self) -> None:
        self._free += 1
        self._hand_over()

    def _hand_over(self) -> None:
        """A free place goes to the first who still waits: who was just cancelled leaves the queue by themselves."""
        waiting = (index for index, waiter in enumerate(self._queue) if not waiter.turn.done())
        index = next(waiting, None)
        if self._free == 0 or index is None:
            return
        first = self._queue[index]
        self._free -= 1
        self._leave(index)
        first.turn.set_result(None)

    def _leave(self, index: int) -> None:
        del self._queue[index]
        for number, waiter in enumerate(self._queue[index:], start=index + 1):
            waiter.moved(number)
