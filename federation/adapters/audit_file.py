"""A file to which every change is appended as one line of JSON, and read back from its end. Knows no store.

Blocking: to be called from a thread. The end of the file up to which lines count is known apart from its length, so
that a line that was written in vain is never read, and is cut off before the next one is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson

from federation.adapters.whole_file import PRIVATE, sync_folder
from federation.core.audit import change_told, read_change
from federation.core.steering import Change

BLOCK = 64 * 1024  # bytes that are read at once; far more than a line


class AuditFile:
    """`append` a change, then `keep` it or `cut` it off again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began = 0  # where the last line that was appended begins
        self._counts = True  # whether that line is one

    def repair(self) -> str:
        """Ends a line that a crash or a full disk left without its end, so that the next one does not join it. Says
        what was found, empty when all is well."""
        try:
            if not self._path.exists() or not _torn(self._path):
                return ""
            with self._opened() as file:
                _write(file, b"\n")
                os.fsync(file)
        except OSError as problem:
            return f"{self._path}: its last line has no end, and got none ({problem})"
        return f"{self._path}: its last line had no end and was ended; what cannot be read of it is not told"

    def append(self, change: Change) -> None:
        """The change is on the disk afterwards. Raises OSError when it cannot be, and nothing of it counts."""
        with self._opened() as file:
            if not self._counts:
                self._cut(file)
            self._began, self._counts = os.fstat(file).st_size, False
            end = b"\n" if _torn(self._path) else b""
            _write(file, end + orjson.dumps(change_told(change)) + b"\n")
            os.fsync(file)
        if self._began == 0:
            sync_folder(self._path.parent)

    def keep(self) -> None:
        """The line that was appended counts."""
        self._counts = True

    def cut(self) -> None:
        """The line that was appended last does not count, and is gone as soon as the disk allows."""
        self._counts = False
        with suppress(OSError), self._opened() as file:  # otherwise before the next line
            self._cut(file)

    def newest(self, before: int | None = None) -> Iterator[Change]:
        """All changes from the last one on, or from the last one before this id. A line that cannot be read is none."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            size = os.fstat(file).st_size
            end = size if self._counts else min(size, self._began)
            if before is not None:
                end = _narrowed(file, end, before)
            for line in _backwards(file, end):
                change = _read(line)
                if change is not None and (before is None or change.id < before):
                    yield change
        finally:
            os.close(file)

    def _cut(self, file: int) -> None:
        os.ftruncate(file, min(self._began, os.fstat(file).st_size))
        os.fsync(file)
        self._counts = True

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Opened each time, wherever its name points by then: changes are rare."""
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        try:
            yield file
        finally:
            os.close(file)


def _torn(path: Path) -> bool:
    """Whether the last line has no end."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        return size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"


def _write(file: int, data: bytes) -> None:
    written = os.write(file, data)
    if written < len(data):
        raise OSError(f"only {written} of {len(data)} bytes of a change were written")


def _read(line: bytes) -> Change | None:
    try:
        return read_change(orjson.loads(line))
    except ValueError:
        return None


def _backwards(file: int, end: int) -> Iterator[bytes]:
    """The whole lines up to there, the last one first."""
    rest = b""
    while end > 0:
        start = max(0, end - BLOCK)
        *lines, rest = reversed((os.pread(file, end - start, start) + rest).split(b"\n"))
        yield from filter(None, lines)
        if len(rest) > BLOCK:  # no change: what a file system left after a crash
            rest = b"?"
        end = start
    if rest:
        yield rest


def _narrowed(file: int, end: int, before: int) -> int:
    """An end at most so far back that all changes before this id are in front of it. Ids grow along the file, so this
    is a binary search; where it meets a block without any change it is content with less."""
    start = 0
    while end - start > 2 * BLOCK:
        middle = (start + end) // 2
        found = _first(file, middle)
        if found is None:
            return end
        at, id = found
        if id < before:
            start = middle
        else:
            end = at
    return end


def _first(file: int, start: int) -> tuple[int, int] | None:
    """Where the first readable line after this place begins, and its id; None when there is none within a block."""
    at = start
    for number, line in enumerate(os.pread(file, BLOCK, start).split(b"\n")[:-1]):
        if number and (change := _read(line)) is not None:
            return at, change.id
        at += len(line) + 1
    return None
