"""Which members may be building which version now, so that further launches of it join them. Knows no stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from federation.core.model import Launch


class Joining:
    """Counts, for each version, the launches on each member that have not come past the build yet."""

    def __init__(self) -> None:
        self._waiting: dict[str, Counter[str]] = {}

    def members(self, launch: Launch) -> tuple[str, ...]:
        """The members with launches of this version before or in the build, those with most of them first."""
        waiting = self._waiting.get(launch.path)
        return tuple(name for name, _ in waiting.most_common()) if waiting else ()

    @contextmanager
    def under_way(self, launch: Launch, member: str) -> Iterator[Callable[[], None]]:
        """Counts a launch on this member until the function is called, or the block ends, however it ends."""
        waiting = self._waiting.setdefault(launch.path, Counter())
        waiting[member] += 1
        counted = True

        def past_the_build() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._leave(launch.path, member)

        try:
            yield past_the_build
        finally:
            past_the_build()

    def _leave(self, path: str, member: str) -> None:
        waiting = self._waiting[path]
        waiting[member] -= 1
        if not waiting[member]:
            del waiting[member]
        if not waiting:
            del self._waiting[path]
