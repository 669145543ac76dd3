"""The kept events of one launch, by number from 1: all up to a size, then beginning and end. Knows no reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_BATCH = 64  # events handed out at once


@dataclass(frozen=True, slots=True)
class Stretch(Generic[T]):
    """Events that follow each other; `first` is the number of the first. `missed` events before it were
    asked for and are no longer kept."""

    first: int
    events: Sequence[T]
    missed: int = 0

    @property
    def last(self) -> int:
        """The number to ask on from."""
        return self.first + len(self.events) - 1


class EventLog(Generic[T]):
    """Above `limit` bytes, events from the middle are forgotten.

    The first half of the room keeps the beginning, which a page that is opened again wants, and the second
    half moves with the end, which a connection that was lost wants. The newest event is always kept.
    """

    def __init__(self, limit: int) -> None:
        self._room = limit // 2
        self._head: list[T] = []
        self._head_size = 0
        self._tail: list[T] = []
        self._sizes: list[int] = []  # of the tail's events
        self._tail_size = 0
        self._dropped = 0  # events at the front of the tail that are forgotten, but not yet cut off
        self._cut = 0  # events that are forgotten and cut off

    @property
    def last(self) -> int:
        """The number of the newest event; 0 when there is none."""
        return len(self._head) + self._cut + len(self._tail)

    @property
    def endangered(self) -> int:
        """The number of the event that is forgotten next when more come; 0 while there is room."""
        return self.last - len(self._tail) + self._dropped + 1 if 2 * self._tail_size > self._room else 0

    def append(self, event: T, size: int) -> None:
        """`size` is what the event counts against the limit, in bytes."""
        if not self._tail and self._head_size + size <= self._room and not self._cut:
            self._head.append(event)
            self._head_size += size
            return
        self._tail.append(event)
        self._sizes.append(size)
        self._tail_size += size
        while self._tail_size > self._room and self._dropped + 1 < len(self._tail):
            self._tail_size -= self._sizes[self._dropped]
            self._dropped += 1
        if self._dropped > len(self._tail) // 2 + _BATCH:  # in batches: cutting off one by one is slow
            del self._tail[: self._dropped], self._sizes[: self._dropped]
            self._cut += self._dropped
            self._dropped = 0

    def after(self, number: int) -> Stretch[T]:
        """Some of the events after this number, in order; none when it is the newest one's, or above."""
        number = max(0, min(number, self.last))
        head = len(self._head)
        if number < head:
            return Stretch(number + 1, self._head[number : number + _BATCH])
        kept = max(number, head + self._cut + self._dropped)
        start = kept - head - self._cut
        return Stretch(kept + 1, self._tail[start : start + _BATCH], kept - number)
