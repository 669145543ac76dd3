"""The kept log of one build: complete up to a size, then its beginning and its end. Knows no watcher."""

from __future__ import annotations

from collections import deque
from itertools import islice

from members.core.model import BuildLine

_OBJECT_COST = 200  # bytes a line takes in memory besides its text, roughly
_BATCH = 500  # lines handed out at once


class BuildLog:
    """Lines by number, from 0. Above `limit` bytes, lines from the middle are forgotten.

    The first half of the room keeps the beginning (what was asked for), the second half moves with the end
    (why it failed): the two parts of a very long log that somebody reads.
    """

    def __init__(self, limit: int) -> None:
        self._room = limit // 2
        self._head: list[BuildLine] = []
        self._head_full = False
        self._head_cost = 0
        self._tail: deque[BuildLine] = deque()
        self._tail_cost = 0
        self._forgotten = 0

    def append(self, line: BuildLine) -> None:
        cost = _cost(line)
        if not self._head_full and self._head_cost + cost <= self._room:
            self._head.append(line)
            self._head_cost += cost
            return
        self._head_full = True
        self._tail.append(line)
        self._tail_cost += cost
        while self._tail_cost > self._room and len(self._tail) > 1:
            self._tail_cost -= _cost(self._tail.popleft())
            self._forgotten += 1

    def since(self, position: int) -> tuple[list[BuildLine], int]:
        """Some lines from number `position` on, and the number to ask for next; no lines: none are there yet.

        A reader that comes to forgotten lines is told once how many they are.
        """
        head = len(self._head)
        if position < head:
            lines = self._head[position : position + _BATCH]
            return lines, position + len(lines)
        first_kept = head + self._forgotten
        lines = []
        if position < first_kept:
            lines.append(BuildLine(f"[{first_kept - position} lines of this long log are not kept]\n"))
            position = first_kept
        start = position - first_kept
        stop = min(start + _BATCH, len(self._tail))
        lines.extend(islice(self._tail, start, stop))
        return lines, first_kept + stop


def _cost(line: BuildLine) -> int:
    return len(line.message.encode("utf-8", "replace")) + _OBJECT_COST
