"""Keeps the last view of the members over a restart. Knows no file format and no rule of what a view is worth.

What cannot be read or written is told, once until it goes well again, and harms nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from federation.core.facts import Listener, LoopFailed
from federation.core.saved import alike
from federation.service.dispatch import InForce
from federation.service.pool import Pool
from federation.service.ports import ViewStore

EVERY = 5.0  # seconds between two writes at least


class ViewKeeper:
    """`async with` it before the first look at a member, so that what was kept never overrules what is seen: the view
    is read when the block begins, and written within it and at its end."""

    def __init__(
        self, pool: Pool, store: ViewStore, in_force: InForce, tell: Listener, *, every: float = EVERY
    ) -> None:
        self._pool = pool
        self._store = store
        self._in_force = in_force
        self._tell = tell
        self._every = every
        self._ending = asyncio.Event()
        self._written: tuple[str, Mapping[str, Any]] | None = None
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> ViewKeeper:
        await self._read()
        self._task = asyncio.create_task(self._run(), name="view keeper")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()  # not cancelled: a write under way comes to its end, within its own limit
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        path = self._in_force().view_file
        if path is None:
            return
        try:
            found = await self._store.read(path)
            if found is not None:
                self._pool.restore(found)
        except ValueError as error:
            self._tell(LoopFailed("view file", ValueError(f"{path} {error}; it is not used")))
        except Exception as error:  # the front door starts without it
            self._tell(LoopFailed("view file", error))

    async def _run(self) -> None:
        while not self._ending.is_set():
            try:
                async with asyncio.timeout(self._every):
                    await self._ending.wait()
            except TimeoutError:
                pass
            await self._write(last=self._ending.is_set())

    async def _write(self, *, last: bool) -> None:
        path = self._in_force().view_file
        if path is None:
            return
        try:
            view = self._pool.saved()
            before = self._written[1] if self._written is not None and self._written[0] == path else None
            if last or not alike(view, before):
                await self._store.write(path, view)
                self._written = (path, view)
            self._failing = False
        except Exception as error:  # a full disk must not end the loop
            if not self._failing:
                self._tell(LoopFailed("view file", error))
            self._failing = True
