"""The archive's lines, from files or from a front door, one after the other. Knows no terminal and counts nothing."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import aiohttp
import orjson
from yarl import URL

from federation.core.archive import day_in
from federation.core.usage import Entry, read
from federation.follow.ask import Refused
from federation.follow.stream import Unreachable

_CONNECT = 10.0  # seconds until the front door accepts
_SILENCE = 60.0  # seconds without a byte
_LONGEST_LINE = 256 * 1024  # bytes
_LARGEST_INDEX = 8 * 2**20  # bytes
_LARGEST_FILE = 2 * 2**30  # bytes of one day


class NotThere(Exception):
    """A file or folder that cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """Days from `since` to `until`, both of them; None: no end on that side."""

    since: str | None = None
    until: str | None = None

    def holds(self, day: str) -> bool:
        return (self.since is None or day >= self.since) and (self.until is None or day <= self.until)


class Reading:
    """Gives every launch of the lines it is fed to `take`, if it is of the span; counts what is none."""

    def __init__(self, span: Span, take: Callable[[Entry], None]) -> None:
        self.odd = 0  # lines that are no launch
        self.span = span
        self._take = take

    def line(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            entry = read(orjson.loads(line))
        except orjson.JSONDecodeError:
            entry = None
        if entry is None:
            self.odd += 1
        elif self.span.holds(entry.day):
            self._take(entry)


def files_in(folder: Path, span: Span) -> list[Path]:
    """The files of these days in an archive's folder. Raises NotThere."""
    try:
        found = [(day_in(path.name.removesuffix(".gz")), path) for path in folder.iterdir()]
    except OSError as problem:
        raise NotThere(f"{folder}: {problem.strerror}, expected the folder of an archive") from problem
    return sorted(path for day, path in found if day is not None and span.holds(day))


def from_files(paths: Iterable[Path], reading: Reading) -> None:
    """Reads these files, compressed ones (`.gz`) as well. Raises NotThere."""
    for path in paths:
        try:
            with _opened(path) as file:
                for line in _lines(file):
                    reading.line(line)
        except (OSError, EOFError) as problem:
            raise NotThere(f"{path}: {getattr(problem, 'strerror', None) or problem}") from problem


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """A line that is longer than any of an archive comes in pieces, none of which is a launch."""
    while line := file.readline(_LONGEST_LINE):
        yield line


async def from_front_door(front_door: str, reading: Reading) -> None:
    """Reads the archive that this front door publishes. Raises Refused when it publishes none, and Unreachable."""
    base = URL(front_door.rstrip("/") + "/archive/")
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT, sock_read=_SILENCE)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for name in await _listed(session, base, reading.span):
            async with _asked(session, base / name, _LARGEST_FILE) as lines:
                async for line in lines:
                    reading.line(line)


async def _listed(session: aiohttp.ClientSession, base: URL, span: Span) -> list[str]:
    names = []
    async with _asked(session, base / "index.jsonl", _LARGEST_INDEX) as lines:
        async for line in lines:
            try:
                name = str(orjson.loads(line)["name"])
            except (orjson.JSONDecodeError, TypeError, KeyError) as problem:
                raise Unreachable(f"{base}index.jsonl: is no index of an archive") from problem
            day = day_in(name)
            if day is not None and span.holds(day):
                names.append(name)
    return sorted(names)


@asynccontextmanager
async def _asked(
    session: aiohttp.ClientSession, url: URL, largest: int
) -> AsyncIterator[AsyncIterator[bytes]]:
    try:
        async with session.get(url) as response:
            if response.status == 404:
                raise Refused(f"{url}: the front door publishes no archive, or no such file")
            if response.status != 200 or response.content_type == "text/html":
                told = f"answered {response.status} {response.reason} with {response.content_type}"
                raise Unreachable(f"{url}: {told}; is this the address of a front door?")
            yield _lines_of(response, largest)
    except TimeoutError as problem:
        raise Unreachable(f"{url}: no answer in time") from problem
    except (aiohttp.ClientError, OSError) as problem:
        raise Unreachable(f"{url}: {problem}") from problem


async def _lines_of(response: aiohttp.ClientResponse, largest: int) -> AsyncIterator[bytes]:
    kept, taken = b"", 0
    async for chunk in response.content.iter_chunked(_LONGEST_LINE):
        taken += len(chunk)
        *whole, kept = (kept + chunk).split(b"\n")
        for line in whole:
            yield line
        if taken > largest or len(kept) > _LONGEST_LINE:
            raise Unreachable(f"{response.url}: longer than an archive's file or line can be")
    if kept:
        yield kept
