"""Keeps the history of ninety days, over restarts too. Knows no file format and no page.

What cannot be read or written is told, once until it goes well again, and harms nothing.
"""

from __future__ import annotations

import asyncio

from federation.core.facts import Fact, LaunchEnded, Listener, Outcome, Redirected
from federation.core.history import History, Launches, document, looked, read
from federation.core.lately import counts_against_us
from federation.service.dispatch import InForce
from federation.service.keeper import Keeper
from federation.service.ports import Clock, Members, ViewStore

EVERY = 1.0  # seconds between two looks
QUIET = 60.0  # seconds between two writes at least
FILE = "history.json"


class HistoryKeeper(Keeper):
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
        super().__init__("history", tell, every)
        self.history = History()
        self._pool = pool
        self._in_force = in_force
        self._clock = clock
        self._store = store
        self._ended = self._good = self._bad = 0  # launches since the last look
        self._unread = ""  # a file whose days would be lost if it were written
        self._written = 0.0  # when it was last written, on the loop's clock

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

    async def _turn(self, *, last: bool) -> None:
        try:
            self.tick()
        except Exception as error:  # what was counted is kept all the same
            self._fault(error)
        now = asyncio.get_running_loop().time()
        if last or now - self._written >= QUIET:
            self._written = now
            await self._write()

    async def _begin(self) -> None:
        self._written = asyncio.get_running_loop().time()
        path = self._path()
        if path is None:
            return
        try:
            found = await self._store.read(path)
            if found is not None:
                self.history = read(found)
        except Exception as error:
            self._unread = path
            self._fault(ValueError(f"{path}: {error}; it is left as it is, and nothing is written"))

    async def _write(self) -> None:
        path = self._path()
        if path is None or path == self._unread or not self.history.days:
            return
        try:
            await self._store.write(path, document(self.history))
            self._goes_well()
        except Exception as error:  # a full disk must not end the loop
            self._fails(error)

    def _path(self) -> str | None:
        folder = self._in_force().state_folder
        return None if folder is None else f"{folder}/{FILE}"
