"""Keeps room on a member's engine, beside its work: old images, images without a name, what builds cached.

Knows when this member used an image, and asks the engine for the rest. Knows no registry and no hub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from members.adapters.engine import Engine, EngineDown, EngineRefused
from members.core import units
from members.core.facts import Note, Tell
from members.core.shelf import oldest_first

_PAUSE = 600.0  # seconds between two looks
_FRESH = (
    3600.0  # seconds after its last use for which an image stays: a launch or a push of it may be under way
)


class EngineRoom:
    """Call `start` once, and `close` at the end. `using` must be awaited before each use of an image."""

    def __init__(
        self,
        engine: Engine,
        *,
        image_prefix: str,
        images: int | None,
        cache: int | None,
        clock: Callable[[], float],
        tell: Tell,
    ) -> None:
        """The federation's images may take `images` bytes, the cache of builds `cache`; None is no limit of ours.

        `clock` gives Unix seconds.
        """
        self._engine = engine
        self._image_prefix = image_prefix
        self._images = images
        self._cache = cache
        self._clock = clock
        self._tell = tell
        self._used: dict[str, float] = {}
        self._full = False  # whether it was told that nothing more may go
        self._leaving = ""  # the image whose removal the engine is asked for
        self._removal = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="engine room")

    async def close(self) -> None:
        """Ends at once; what could not be removed is removed another time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def using(self, image: str) -> None:
        """The image stays for a while from now on; if it is just being removed, returns when it is gone."""
        if self._images is None:
            return
        self._used[image] = self._clock()
        if image == self._leaving:
            async with self._removal:
                pass

    async def make(self) -> list[str]:
        """Makes room now; the names of the images that had to go. Raises EngineDown or EngineRefused."""
        await self._engine.clear(self._cache)
        tried: list[str] = []
        gone: list[str] = []
        while self._images is not None and (name := await self._too_much(self._images, tried)) is not None:
            tried.append(name)
            if await self._removed(name):
                gone.append(name)
                self._tell(Note(f"Image {name} has left the engine to make room; it was the longest unused"))
        return gone

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                await self.make()
            except (EngineDown, EngineRefused) as error:
                self._tell(Note(f"No room could be made on the container engine: {error}"))

    async def _too_much(self, limit: int, tried: list[str]) -> str | None:
        """The image that has to go next; None when there is room enough, or nothing more that may go."""
        shelf = await self._engine.shelf()
        there = {name for image in shelf.images for name in image.names}
        self._used = {name: at for name, at in self._used.items() if name in there or self._is_fresh(at)}
        taken = shelf.taken(self._image_prefix)
        if taken <= limit:
            self._full = False
            return None
        idle = [name for name in shelf.idle(self._image_prefix) if name not in tried]
        last = {name: self._used.get(name) or await self._engine.came(name) for name in idle}
        going = oldest_first(last, before=self._fresh)
        if not going and not self._full:
            self._full = True
            self._tell(Note(f"Images take {units.in_bytes(taken)} on the engine, and all are in use"))
        return next(iter(going), None)

    @property
    def _fresh(self) -> float:
        return self._clock() - _FRESH

    def _is_fresh(self, at: float) -> bool:
        return at >= self._fresh

    async def _removed(self, name: str) -> bool:
        """Whether it went: not if somebody wants it after all, or a container that just appeared uses it."""
        if self._is_fresh(self._used.get(name, 0.0)):
            return False
        self._leaving = name
        try:
            async with self._removal:
                await self._engine.untag(name)
        except EngineRefused as error:
            if error.status != 409:
                raise
            return False
        finally:
            self._leaving = ""
        self._used.pop(name, None)
        return True
