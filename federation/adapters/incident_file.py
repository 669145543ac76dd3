"""Records as lines of JSON in a file of the state folder: added to, or written anew as a whole. Knows nothing of what
they mean.

A line that a crash has torn is passed over, and the next one begins on a line of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from federation.adapters.errand import Errands
from federation.adapters.state_file import content, with_folder
from federation.adapters.whole_file import sync_folder, write_whole


class IncidentFile:
    """`IncidentStore` on a file system. The folder is made when it is not there."""

    def __init__(self) -> None:
        self._errands = Errands("incidents")

    async def read(self, path: str) -> list[object]:
        return await self._errands.run(lambda: list(_read(Path(path))))

    async def append(self, path: str, records: Sequence[Mapping[str, Any]]) -> None:
        await self._errands.run(lambda: _append(with_folder(Path(path)), _lines(records)))

    async def replace(self, path: str, records: Sequence[Mapping[str, Any]]) -> None:
        await self._errands.run(lambda: write_whole(with_folder(Path(path)), _lines(records)))


def _lines(records: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


def _read(path: Path) -> Iterator[object]:
    for line in (content(path) or b"").split(b"\n"):
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:  # torn, or empty as the last one is
            continue


def _append(path: Path, data: bytes) -> None:
    """All of the lines are on the disk afterwards, or none is there: raises OSError then."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            data = b"\n" + data
        written = os.write(file, data)
        if written < len(data):
            os.ftruncate(file, size)
            raise OSError(f"{path}: only {written} of {len(data)} bytes were written")
        os.fsync(file)
    finally:
        os.close(file)
    if not size:
        sync_folder(path.parent)
