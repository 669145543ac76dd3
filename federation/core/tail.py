"""The newest events of a stream that never ends, by number from 1, up to a size. Knows no reader."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Events that follow each other up to the newest. `missed` before them were asked for and are no longer kept."""

    events: tuple[bytes, ...]
    missed: int = 0


class Tail:
    """Above `limit` bytes the oldest events are forgotten. The newest one is always kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: deque[bytes] = deque()
        self._size = 0
        self.last = 0  # the number of the newest event; 0 when there was none

    def append(self, event: bytes) -> None:
        self._events.append(event)
        self._size += len(event)
        self.last += 1
        while self._size > self._limit and len(self._events) > 1:
            self._size -= len(self._events.popleft())

    def after(self, number: int) -> Part:
        """All events after this number that are kept."""
        wanted = self.last - number
        kept = min(wanted, len(self._events))
        first = len(self._events) - kept
        return Part(tuple(self._events[place] for place in range(first, len(self._events))), wanted - kept)
