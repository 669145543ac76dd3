"""Keeps the last view of the members over a restart. Knows no file format and no rule of what a view is worth.

What cannot be read or written is told, once until it goes well again, and harms nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federation.core.facts import Listener
from federation.core.saved import alike
from federation.service.dispatch import InForce
from federation.service.keeper import Keeper
from federation.service.pool import Pool
from federation.service.ports import ViewStore

EVERY = 5.0  # seconds between two writes at least


class ViewKeeper(Keeper):
    """`async with` it before the first look at a member, so that what was kept never overrules what is seen: the view
    is read when the block begins, and written within it and at its end."""

    def __init__(
        self, pool: Pool, store: ViewStore, in_force: InForce, tell: Listener, *, every: float = EVERY
    ) -> None:
        super().__init__("view file", tell, every)
        self._pool = pool
        self._store = store
        self._in_force = in_force
        self._written: tuple[str, Mapping[str, Any]] | None = None

    async def _begin(self) -> None:
        path = self._in_force().view_file
        if path is None:
            return
        try:
            found = await self._store.read(path)
            if found is not None:
                self._pool.restore(found)
        except ValueError as error:
            self._fault(ValueError(f"{path} {error}; it is not used"))
        except Exception as error:  # the front door starts without it
            self._fault(error)

    async def _turn(self, *, last: bool) -> None:
        path = self._in_force().view_file
        if path is None:
            return
        try:
            view = self._pool.saved()
            before = self._written[1] if self._written is not None and self._written[0] == path else None
            if last or not alike(view, before):
                await self._store.write(path, view)
                self._written = (path, view)
            self._goes_well()
        except Exception as error:  # a full disk must not end the loop
            self._fails(error)
