"""What a provider remembers of a service: the most recently used answers, some for a while only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Memory(Generic[T]):
    """At most `size` values by key, the least recently used one gives way; each is believed `lifetime` seconds."""

    def __init__(self, size: int, lifetime: float, now: Callable[[], float]) -> None:
        self._size = size
        self._lifetime = lifetime
        self._now = now
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def get(self, key: str) -> T | None:
        """The value, unless it is unknown or too old."""
        if key not in self._kept:
            return None
        since, value = self._kept[key]
        if self._now() - since >= self._lifetime:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return value

    def put(self, key: str, value: T) -> None:
        self._kept[key] = (self._now(), value)
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
