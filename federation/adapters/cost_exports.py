"""Folders with cost exports. Knows no member and no sum over files.

Each file is read in a thread of its own, and again only when it changed: exports of years stay where they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from federation.adapters.errand import Errands
from federation.core.cost_exports import BadExport, Period, Time, from_csv, from_json, summed
from federation.service.ports import Exported

LARGEST = 16 * 2**20  # bytes of one file
MOST = 5000  # files of one folder

Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _File:
    """One file as it was when its stamp was this. `periods` are those of its last good content."""

    stamp: Stamp
    digest: bytes = b""
    periods: tuple[Period, ...] = ()
    problem: str = ""


class ExportFolders:
    """`CostExports` on a file system."""

    def __init__(self) -> None:
        self._errands = Errands("cost exports")
        self._folders: dict[str, dict[Path, _File]] = {}

    async def read(self, folder: str) -> Exported:
        known = self._folders.setdefault(folder, {})
        problems = []
        try:
            found = await self._errands.run(lambda: _found(Path(folder)))
        except OSError as error:
            return Exported(_counted(known), (f"{folder}: {error.strerror or error}, expected a folder",))
        if len(found) > MOST:
            problems.append(f"{folder}: {len(found)} exports, expected {MOST} at most; the last ones count")
            found = dict(list(found.items())[-MOST:])
        for path in known.keys() - found.keys():
            del known[path]
        for path, stamp in found.items():
            if path not in known or known[path].stamp != stamp:
                known[path] = await self._read(path, stamp, known.get(path))
        problems.extend(one.problem for one in known.values() if one.problem)
        return Exported(_counted(known), tuple(problems))

    async def _read(self, path: Path, stamp: Stamp, before: _File | None) -> _File:
        old = before or _File(stamp)
        try:
            return await self._errands.run(lambda: _file(path, stamp))
        except BadExport as problem:
            return _File(stamp, old.digest, old.periods, f"{path}: {problem}")
        except (OSError, ValueError) as error:
            # The stamp is none that a file has, so that it is tried again.
            return _File((0, -1), old.digest, old.periods, f"{path}: {error}, expected an export")


def moment(told: str) -> float:
    """Seconds since the epoch of a time as exports write it, in UTC unless it says otherwise. Raises ValueError."""
    read = datetime.fromisoformat(told.strip().removesuffix(" UTC"))
    return (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()


def _counted(files: dict[Path, _File]) -> tuple[Period, ...]:
    """All periods. A file with the same content as another one is the same file twice."""
    distinct = {one.digest: one.periods for one in files.values() if one.digest}
    return summed(period for periods in distinct.values() for period in periods)


def _found(folder: Path) -> dict[Path, Stamp]:
    """The exports that are there, by their names."""
    names = (path for path in folder.iterdir() if _reader(path) is not None)
    stats = {path: path.stat() for path in sorted(names) if path.is_file()}
    return {path: (stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}


def _reader(path: Path) -> Callable[[str, Time], tuple[Period, ...]] | None:
    match path.name.partition("-")[0], path.suffix:
        case "report", ".csv":
            return from_csv
        case "billing", ".json":
            return from_json
        case _:
            return None


def _file(path: Path, stamp: Stamp) -> _File:
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise BadExport("whole file", "size", f"more than {LARGEST} bytes", "smaller files")
    try:
        told = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadExport(f"line {line}", "text", data[error.start : error.start + 1], "UTF-8") from error
    reader = _reader(path)
    assert reader is not None
    return _File(stamp, hashlib.sha256(data).digest(), reader(told, moment))
