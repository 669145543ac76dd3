"""A file that holds one JSON document, replaced as a whole. Knows nothing of what is in it.

A thread of its own reads or writes each time, so that a slow disk delays no launch and one that never answers
does not keep the process from ending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import orjson

from federation.adapters.whole_file import write_whole

LIMIT = 5.0  # seconds for reading, or for writing
LARGEST = 16 * 2**20  # bytes that are read

T = TypeVar("T")


class ViewFile:
    """`ViewStore` on a file system."""

    def __init__(self) -> None:
        self._busy = False

    async def read(self, path: str) -> object:
        return await self._apart(path, lambda: _read(Path(path)))

    async def write(self, path: str, document: Mapping[str, Any]) -> None:
        data = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        await self._apart(path, lambda: write_whole(Path(path), data))

    async def _apart(self, path: str, work: Callable[[], T]) -> T:
        """What the work gives or raises, from a daemon thread. One at a time: whatever hangs must not pile up."""
        if self._busy:
            raise OSError(f"{path}: the disk has not answered yet")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(value: T | None, error: Exception | None) -> None:
            self._busy = False
            if done.done():
                return  # nobody waits any more
            if error is None:
                done.set_result(value)  # type: ignore[arg-type]
            else:
                done.set_exception(error)

        def run() -> None:
            value, error = None, None
            try:
                value = work()
            except Exception as raised:
                error = raised
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, value, error)

        Thread(target=run, name="view file", daemon=True).start()
        self._busy = True
        try:
            async with asyncio.timeout(LIMIT):
                return await done
        except TimeoutError as error:
            raise OSError(f"{path}: the disk did not answer within {LIMIT:g} s") from error


def _read(path: Path) -> object:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    if len(data) > LARGEST:
        raise ValueError(f"is larger than {LARGEST} bytes")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error})") from error
