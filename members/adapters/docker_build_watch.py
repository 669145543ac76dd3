"""Looks after a build while it runs: its disk and its silence. Knows nothing of repo2docker's lines."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar

from members.core.model import BuildBroken, BuildFailed

T = TypeVar("T")
FULL = 64 << 20  # bytes; with less space left a failure is the member's own
_PAUSE = 0.3  # seconds between two looks
_SHARE = 10  # a look that took long is followed by a pause this many times as long


async def watched(
    stream: AsyncIterator[T], watch: Coroutine[object, object, NoReturn]
) -> AsyncGenerator[T, None]:
    """The stream, ended by the error that `watch` raises. Both are over when this ends."""
    watching = asyncio.ensure_future(watch)
    step: asyncio.Future[T] | None = None
    try:
        while True:
            step = asyncio.ensure_future(anext(stream))
            await asyncio.wait({step, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                watching.result()
            try:
                item = step.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        for future in (step, watching):
            if future is not None and not future.done():
                future.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await future


class Watch:
    """The limits of one build's own folder, and of the silence while it fetches."""

    def __init__(
        self,
        folder: Path,
        *,
        disk: int,
        silence: float,
        engine_root: Path | None,
        each_look: Callable[[], object],
    ) -> None:
        """`disk` bytes may be fetched into `folder`; `engine_root` is the engine's data, if they are here.

        For `silence` seconds git server and registry may do nothing. `each_look` blocks, and is called all the
        time.
        """
        self._folder = folder
        self._disk = disk
        self._engine_root = engine_root
        self._each_look = each_look
        self._silence = silence
        self._fetching = True
        self._pushing = False
        self._size = 0
        self._heard = asyncio.get_running_loop().time()

    def heard(self, *, building: bool, pushing: bool) -> None:
        """A line came, and says how far the build is."""
        self._fetching = not building
        self._pushing = pushing
        self._heard = asyncio.get_running_loop().time()

    async def run(self) -> NoReturn:
        """Raises BuildFailed or BuildBroken when a limit is passed."""
        now = asyncio.get_running_loop().time
        while True:
            begun = now()
            if full := self.full():
                raise BuildBroken(full)
            if self._fetching:
                self._look_at(await asyncio.to_thread(size_of, self._folder))
            self._listen()
            await asyncio.to_thread(self._each_look)
            await asyncio.sleep(max(_PAUSE, _SHARE * (now() - begun)))

    def _look_at(self, size: int) -> None:
        """Copies of what was fetched are made later, so only fetching is looked at."""
        if size > self._disk:
            raise BuildFailed(
                f"The repository is too large: more than {self._disk / 1e9:.3g} GB were fetched, "
                "and the build was stopped."
            )
        if size != self._size:
            self._size, self._heard = size, asyncio.get_running_loop().time()

    def _listen(self) -> None:
        """A step of a build may be silent for as long as it likes, a server may not."""
        if asyncio.get_running_loop().time() - self._heard < self._silence:
            return
        if self._fetching:
            raise BuildBroken(f"The repository's server sent nothing for {self._silence:g} seconds.")
        if self._pushing:
            raise BuildBroken(f"The registry of images took nothing for {self._silence:g} seconds.")

    def full(self) -> str | None:
        """What to say when a disk of this member has no room left."""
        for path in (self._folder, self._engine_root):
            with suppress(OSError):
                if path is not None and shutil.disk_usage(path).free < FULL:
                    return "The disk of this member is full."
        return None


def size_of(folder: Path) -> int:
    """Bytes on disk of all files below `folder`, also while they come and go."""
    total = 0
    folders = [str(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total
