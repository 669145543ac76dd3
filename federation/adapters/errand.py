"""Work on a disk, in a thread of its own. Knows nothing of what is done there.

A slow disk delays no launch, and one that never answers neither keeps the process from ending nor lets work pile up.
Work that comes to its end when nobody waits for it any more is undone: who was told that it failed can rely on that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any, Generic, TypeVar

LIMIT = 5.0  # seconds for one errand

T = TypeVar("T")


class Errands:
    """One errand at a time, in the order in which they were asked for. `name` is for the threads and messages."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = asyncio.Lock()
        self._hanging: _Errand[Any] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[[], T], undo: Callable[[], None] = lambda: None) -> T:
        """What the work gives or raises. Raises OSError when it takes too long, and it is then undone as soon as it
        has come to its end; until that is done nothing else is begun. Whoever leaves meanwhile undoes nothing."""
        task = asyncio.create_task(self._run(work, undo), name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may wait any more

    async def _run(self, work: Callable[[], T], undo: Callable[[], None]) -> T:
        async with self._turn:
            if self._hanging is not None and not self._hanging.over.is_set():
                raise OSError(f"{self._name}: the disk has not answered yet")
            errand = _Errand(work, undo)
            Thread(target=errand.run, name=self._name, daemon=True).start()
            try:
                async with asyncio.timeout(LIMIT):
                    return await asyncio.shield(errand.done)
            except TimeoutError as error:
                if errand.given_up():
                    self._hanging = errand
                    raise OSError(f"{self._name}: the disk did not answer within {LIMIT:g} s") from error
                return await errand.done  # it was just in time


class _Errand(Generic[T]):
    def __init__(self, work: Callable[[], T], undo: Callable[[], None]) -> None:
        self._work = work
        self._undo = undo
        self._loop = asyncio.get_running_loop()
        self._gate = Lock()  # whether it ended in time is settled once, for both sides alike
        self._ended = self._given_up = False
        self.over = Event()  # nothing of it goes on
        self.done: asyncio.Future[T] = self._loop.create_future()

    def given_up(self) -> bool:
        """Whether it has not ended; from now on its end does not count."""
        with self._gate:
            self._given_up = not self._ended
            return self._given_up

    def run(self) -> None:
        """The thread."""
        try:
            self._run()
        finally:
            self.over.set()

    def _run(self) -> None:
        value, raised = None, None
        try:
            value = self._work()
        except Exception as error:
            raised = error
        with self._gate:
            self._ended = not self._given_up
        if self._ended:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._settle, value, raised)
        elif raised is None:
            self._undo()

    def _settle(self, value: T | None, raised: Exception | None) -> None:
        if self.done.cancelled():  # with the loop
            return
        if raised is None:
            self.done.set_result(value)  # type: ignore[arg-type]
        else:
            self.done.set_exception(raised)
