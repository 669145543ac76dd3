"""Keeps the history of ninety days, over restarts too. Knows no file format and no page.

What cannot be read or written is told, once until it goes well again, and harms nothing.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from federation.core.facts import Fact, LaunchEnded, Listener, LoopFailed, Outcome, Redirected
from federation.core.history import History, Launches, document, looked, read
from federation.core.lately import counts_against_us
from federation.service.dispatch import InForce
from federation.service.ports import Clock, Members, ViewStore

EVERY = 1.0  # seconds between two looks
QUIET = 60.0  # seconds between two writes at least
FILE = "history.json"


class HistoryKeeper:
    """A listener that looks once a second. `async with` it: what was kept is read when the block begins, and written
    within it and at its end. A file that is there and cannot be read is left as it is."""

    def __init__(
        self,
        pool: Members,
        in_force: InForce,
        clock: Clock,
        store: ViewStore,
        tell: Listener,
        *,
        every: float = EVERY,
    ) -> None:
        self.history = History()
        self._pool = pool
        self._in_force = in_force
        self._clock = clock
        self._store = store
        self._tell = tell
        self._every = every
        self._ended = self._good = self._bad = 0  # launches since the last look
        self._unread = ""  # a file whose days would be lost if it were written
        self._failing = False
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def listen(self, fact: Fact) -> None:
        match fact:
            case Redirected():
                self._ended += 1
            case LaunchEnded():
                self._ended += 1
                self._good += fact.outcome is Outcome.READY
                self._bad += counts_against_us(fact)
            case _:
                pass

    def tick(self) -> None:
        """The time since the last look goes into the history, with the launches that ended in it."""
        launches = Launches(self._ended, self._good, self._bad)
        self._ended = self._good = self._bad = 0
        self.history = looked(
            self.history,
            self._pool.views(),
            blind=self._pool.blind_since is not None,
            launches=launches,
            now=self._clock.now(),
        )

    async def __aenter__(self) -> HistoryKeeper:
        await self._read()
        self._task = asyncio.create_task(self._run(), name="history")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()  # not cancelled: a write under way comes to its end, within its own limit
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        written, ending = loop.time(), False
        while not ending:
            ending = await self._is_over(self._every)
            try:
                self.tick()
            except Exception as error:  # a fault of ours must not end the loop
                self._tell(LoopFailed("history", error))
            if ending or loop.time() - written >= QUIET:
                written = loop.time()
                await self._write()

    async def _is_over(self, seconds: float) -> bool:
        """Whether the block ends within this time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._ending.wait()
        except TimeoutError:
            return False

    async def _read(self) -> None:
        path = self._path()
        if path is None:
            return
        try:
            found = await self._store.read(path)
            if found is not None:
                self.history = read(found)
        except Exception as error:
            self._unread = path
            left = ValueError(f"{path}: {error}; it is left as it is, and nothing is written")
            self._tell(LoopFailed("history", left))

    async def _write(self) -> None:
        path = self._path()
        if path is None or path == self._unread or not self.history.days:
            return
        try:
            await self._store.write(path, document(self.history))
            self._failing = False
        except Exception as error:  # a full disk must not end the loop
            if not self._failing:
                self._tell(LoopFailed("history", error))
            self._failing = True

    def _path(self) -> str | None:
        folder = self._in_force().state_folder
        return None if folder is None else f"{folder}/{FILE}"
