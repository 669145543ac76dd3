"""All workers: as many as are wanted are kept running, and replaced one by one on request. Knows no member.

One that ends unasked is replaced, at once the first time, then with growing pauses. One that is replaced on request
goes only when the new one serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from federation.core.facts import Listener, LoopFailed
from federation.workers.hand import Hand

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two starts that came to nothing
LIVED = 10.0  # seconds after which a worker's end speaks of itself, and not of those after it
START = 60.0  # seconds that a new worker may take until it serves
MOST_RETIRING = 2  # for each worker that is wanted; older ones are then stopped


class WorkerEnded(Exception):
    """A worker ended unasked, or never served."""


class Crew:
    """`open` it, and `close` it in every case."""

    def __init__(self, size: int, start: Callable[[], Awaitable[Hand]], tell: Listener) -> None:
        self._size = size
        self._start = start
        self._tell = tell
        self._hands: dict[Hand, asyncio.Task[None]] = {}  # in the order of their beginning
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0  # workers in a row that did not live long
        self._renewing = asyncio.Lock()
        self._closing = False

    @property
    def hands(self) -> list[Hand]:
        """All that run, the retiring ones too."""
        return list(self._hands)

    def strength(self) -> tuple[int, int]:
        """How many workers are wanted, and how many of those that are to stay serve."""
        return self._size, sum(hand.serves for hand in self._staying())

    async def open(self) -> None:
        """Returns when all serve. Raises `WorkerEnded` when one does not."""
        hands = [await self._hire() for _ in range(self._size)]
        for hand in hands:
            if not await _serves(hand):
                raise WorkerEnded("a worker did not come to serve; its own words are above")

    def renew(self, limit: float) -> None:
        """Replaces all that serve now, one by one; each has `limit` seconds for what is under way in it."""
        self._hold(self._renew(limit), "renewal of the workers")

    async def close(self) -> None:
        """Ends all, and waits for it."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for hand in self._hands:
            hand.stop()
        await asyncio.gather(*self._hands.values(), return_exceptions=True)

    async def _hire(self) -> Hand:
        hand = await self._start()
        self._hands[hand] = asyncio.create_task(self._attend(hand), name="worker")
        return hand

    async def _attend(self, hand: Hand) -> None:
        try:
            how = f"exit code {await hand.attend()}"
        except Exception as error:  # such as a message that is none: that worker is ended, the others go on
            self._tell(LoopFailed("worker", error))
            how = "its messages could not be taken"
        del self._hands[hand]
        if hand.dismissed or self._closing:
            return
        lived = _now() - hand.began
        self._failures = 0 if lived > LIVED else self._failures + 1
        self._tell(LoopFailed("worker", WorkerEnded(f"worker {hand.pid} ended after {lived:.1f} s: {how}")))
        self._hold(self._refill(), "replacement of a worker")

    async def _refill(self) -> None:
        if self._failures > 1:
            await asyncio.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self._failures - 2)))
        while len(self._staying()) < self._size:
            try:
                await self._hire()
                return
            except OSError as error:
                self._tell(LoopFailed("worker", error))
            await asyncio.sleep(LONGEST_PAUSE)

    async def _renew(self, limit: float) -> None:
        async with self._renewing:
            for old in self._staying():
                if old not in self._hands:
                    continue  # its successor is there already
                try:
                    new = await self._hire()
                except OSError as error:
                    self._tell(LoopFailed("worker", error))
                    return
                if not await _serves(new):
                    new.stop()
                    self._tell(
                        LoopFailed("worker", WorkerEnded("a new worker does not serve; the old ones stay"))
                    )
                    return
                if old in self._hands:
                    old.retire(limit)
                elif len(self._staying()) > self._size:
                    new.stop()
                self._make_room()

    def _staying(self) -> list[Hand]:
        return [hand for hand in self._hands if not hand.dismissed]

    def _make_room(self) -> None:
        retiring = [hand for hand in self._hands if hand.dismissed]
        for hand in retiring[: max(0, len(retiring) - MOST_RETIRING * self._size)]:
            hand.stop()

    def _hold(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _serves(hand: Hand) -> bool:
    try:
        async with asyncio.timeout(START):
            await hand.ready.wait()
    except TimeoutError:
        return False
    return hand.serves


def _now() -> float:
    return asyncio.get_running_loop().time()
