"""The archive's folder: a file of launches for each day, and the lists of these files. Knows no launch under way.

A day's file is open while lines may come for it, until a while after the day's end. It is then closed: checked, put in
order if need be, and not touched again before it is old enough to go. Only a clock that is set back opens it anew. The
lists are made from the files: whatever crashes in between, the next start counts what changed since.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import orjson

from federation.adapters.line_writer import LineFile
from federation.adapters.whole_file import write_whole
from federation.core.archive import DAY, day_in, day_of, file_of, index_lines, index_page, whole_size

LATE = 600.0  # seconds after a day's end in which launches may still come for it
LIST_EVERY = 180.0  # seconds between two lists of what grows
INDEX, PAGE = "index.jsonl", "index.html"
PUBLIC = 0o644  # any file server may read it
_STAMP = b'{"timestamp":"'
_STAMPED = len(_STAMP) + len("2024-01-02T03:04:00+00:00")
_PIECE = 2**20  # bytes


class ArchiveFolder:
    """For one thread. Times are seconds since the epoch."""

    def __init__(self, path: Path, now: float) -> None:
        """Makes the folder, counts what its index does not tell, and closes what a stop left open. Raises OSError."""
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = LineFile(cut_torn, PUBLIC)
        self._counts: dict[str, int] = {}
        self._open: set[str] = set()
        self._listed: Mapping[str, int] | None = None
        self._listed_at = 0.0
        self._take_stock(now)

    def append(self, day: str, lines: Sequence[bytes]) -> None:
        """Adds these lines to the day's file: all of them, or none and an OSError."""
        self._file.append(str(self._path / file_of(day)), b"".join(lines))
        self._counts[day] = self._counts.get(day, 0) + len(lines)
        self._open.add(day)

    def tend(self, now: float, keep: int | None, title: str) -> None:
        """Closes days that are over, removes files of days before the last `keep`, and renews the lists: at once
        when there is another file or one was closed, else now and then. Raises OSError."""
        over = sorted(day for day in self._open if now >= _end(day) + LATE)
        for day in over:
            self._close(day)
        if keep is not None:
            self._remove_before(day_of(now - (keep - 1) * DAY))
        other = self._listed is None or self._listed.keys() != self._counts.keys()
        if over or other or abs(now - self._listed_at) >= LIST_EVERY:
            self.list(now, title)

    def list(self, now: float, title: str) -> None:
        """Writes both lists, if they changed. Raises OSError."""
        if self._listed != self._counts:
            write_whole(self._path / PAGE, index_page(self._counts, title).encode())
            write_whole(self._path / INDEX, index_lines(self._counts).encode())
            self._listed = dict(self._counts)
        self._listed_at = now

    def close(self) -> None:
        self._file.close()

    def _take_stock(self, now: float) -> None:
        listed, listed_at = _read_index(self._path / INDEX)
        for entry in sorted(self._path.iterdir()):
            day = day_in(entry.name)
            if day is None or not _is_day(day):
                continue
            # A file that was written to after the list, or whose end came after it, is not in it as it is now.
            known = entry.stat().st_mtime < listed_at and listed_at >= _end(day) + LATE
            if known and day in listed:
                self._counts[day] = listed[day]
            elif now >= _end(day) + LATE:
                self._close(day)
            else:
                _make_whole(entry)
                self._counts[day] = _lines_in(entry)
                self._open.add(day)

    def _close(self, day: str) -> None:
        """Leaves the day's file whole, in order and on the disk."""
        path = self._path / file_of(day)
        self._file.close()
        try:
            _make_whole(path)
        except FileNotFoundError:  # somebody removed it
            self._counts.pop(day, None)
        else:
            _put_in_order(path)
            self._counts[day] = _lines_in(path)
        self._open.discard(day)

    def _remove_before(self, first: str) -> None:
        for day in [day for day in self._counts if day < first]:
            (self._path / file_of(day)).unlink(missing_ok=True)
            self._open.discard(day)
            del self._counts[day]


def cut_torn(file: int, before: int | None) -> bytes:
    """Takes off what a write that failed left, or a crash: all after the last whole line. A record that lacks its line
    end only is given one."""
    size = os.fstat(file).st_size
    whole = whole_size(size, partial(os.pread, file)) if before is None else before
    if size > whole:
        if before is None and _is_record(os.pread(file, size - whole, whole)):
            os.write(file, b"\n")
        else:
            os.ftruncate(file, whole)
    return b""


def _make_whole(path: Path) -> None:
    """Leaves the file with whole lines only, on the disk. Raises OSError."""
    with path.open("r+b", buffering=0) as file:
        file.seek(0, os.SEEK_END)
        cut_torn(file.fileno(), None)
        os.fsync(file.fileno())


def _is_record(text: bytes) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _read_index(path: Path) -> tuple[Mapping[str, int], float]:
    """What the index tells of each day, and when it was written; nothing, and never, if it is unusable."""
    listed: dict[str, int] = {}
    with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        for line in path.read_bytes().splitlines():
            told = orjson.loads(line)
            listed[str(told["date"])] = int(told["count"])
        return listed, path.stat().st_mtime
    return {}, 0.0


def _lines_in(path: Path) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(_PIECE), b""))


def _put_in_order(path: Path) -> None:
    """Sorts the lines by their timestamps, if they are not in that order and all have one where ours do."""
    with path.open("rb") as file:
        if _in_order(file):
            return
    lines: list[bytes] = path.read_bytes().splitlines(keepends=True)
    if all(line.startswith(_STAMP) for line in lines):
        lines.sort(key=_stamp)
        write_whole(path, b"".join(lines))


def _in_order(lines: Iterable[bytes]) -> bool:
    last = b""
    for line in lines:
        if (stamp := _stamp(line)) < last:
            return False
        last = stamp
    return True


def _stamp(line: bytes) -> bytes:
    return line[:_STAMPED]


def _is_day(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def _end(day: str) -> float:
    """When the day is over."""
    following = date.fromisoformat(day) + timedelta(days=1)
    return datetime(following.year, following.month, following.day, tzinfo=UTC).timestamp()
