"""What operators set, in memory only: for a front door without a state folder. It ends with the process."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import count, islice

from federation.core.steering import Change, Overrides
from federation.service.ports import Loaded

MOST = 1000  # changes that are remembered


class MemoryStore:
    """`OverrideStore` without a disk."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque(maxlen=MOST)
        self._ids = count(1)

    async def load(self) -> Loaded:
        return Loaded()

    async def commit(self, overrides: Overrides, change: Change) -> Change:
        change = replace(change, id=next(self._ids))
        self._changes.append(change)
        return change

    async def changes(self, before: int | None, limit: int) -> tuple[Change, ...]:
        found = (one for one in reversed(self._changes) if before is None or one.id < before)
        return tuple(islice(found, limit))
