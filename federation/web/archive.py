"""`/archive/`: the public record of launches as files, and the page that lists them. Writes nothing.

The files grow while they are read: what is sent ends with a whole line, whatever stands after it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import orjson
from aiohttp import ETag, web

from federation.core.archive import day_in, folder_of, whole_size
from federation.web.cors import CORS, open_to_all
from federation.web.house import page, problem
from federation.web.keys import RUNNING

MOST = 32  # downloads at once
PIECE = 256 * 1024  # bytes
STALLED = 60.0  # seconds in which a client must take a piece
LARGEST_INDEX = 8 * 2**20  # bytes
INDEX = "index.jsonl"
TYPE = "application/x-ndjson"


class Downloads:
    """How many files are being sent."""

    def __init__(self) -> None:
        self._running = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises HTTPServiceUnavailable when there are too many."""
        if self._running >= MOST:
            raise web.HTTPServiceUnavailable(reason="Too many files of the archive are being read just now")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


DOWNLOADS = web.AppKey("downloads", Downloads)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a file from `begin` up to, not including, `end`; of `size` that can be had."""

    begin: int
    end: int
    size: int

    @property
    def whole(self) -> bool:
        return self.end - self.begin == self.size


def folder_served(request: web.Request) -> Path | None:
    """Where the files are that are offered here; None when none are."""
    settings = request.app[RUNNING].settings
    folder = folder_of(settings)
    return Path(folder) if folder is not None and settings.archive.serve else None


async def listing(request: web.Request) -> web.Response:
    """All files, the newest first."""
    folder = folder_served(request)
    if folder is None:
        return _missing(request, "This front door publishes no archive of launches.")
    return page(request, "archive.html", rows=await asyncio.to_thread(_listed, folder / INDEX))


async def to_listing(request: web.Request) -> web.Response:
    raise web.HTTPFound("/archive/")


async def file(request: web.Request) -> web.StreamResponse:
    """One file: whole, or a range of its bytes, or 304 when the client has it as it is."""
    name, folder = request.match_info["name"], folder_served(request)
    if folder is None or (name != INDEX and day_in(name) is None):
        return _missing(request, "The archive has no such file.")
    with request.app[DOWNLOADS].one():
        try:
            async with _opened(folder / name) as opened:
                return await _answer(request, opened, ends_anywhere=name == INDEX)
        except FileNotFoundError:
            if name == INDEX:  # there was no launch yet
                return web.Response(headers=CORS, content_type=TYPE, charset="utf-8")
            return _missing(request, "The archive has no such file.")


async def _answer(request: web.Request, opened: BinaryIO, *, ends_anywhere: bool) -> web.StreamResponse:
    size, changed = await asyncio.to_thread(_measure, opened, ends_anywhere)
    etag = ETag(f"{changed:x}-{size:x}")
    response = web.StreamResponse(headers={**CORS, "Cache-Control": "no-cache", "Accept-Ranges": "bytes"})
    response.headers["Access-Control-Expose-Headers"] = "Content-Range, ETag"
    response.etag = etag
    if time.time_ns() - changed > 2 * 10**9:  # before, it may change once more in the same second
        response.last_modified = changed / 1e9
    if _known(request, etag, changed):
        response.set_status(HTTPStatus.NOT_MODIFIED)
        return response
    response.content_type, response.charset = TYPE, "utf-8"
    try:
        part = _asked(request, etag, size)
    except ValueError:
        response.set_status(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        response.headers["Content-Range"] = f"bytes */{size}"
        response.content_length = 0
        return response
    response.content_length = part.end - part.begin
    if not part.whole:
        response.set_status(HTTPStatus.PARTIAL_CONTENT)
        response.headers["Content-Range"] = f"bytes {part.begin}-{part.end - 1}/{size}"
    await response.prepare(request)
    if request.method != "HEAD":
        await _send(request, response, opened, part)
    return response


async def _send(request: web.Request, response: web.StreamResponse, opened: BinaryIO, part: Part) -> None:
    at = part.begin
    while at < part.end:
        piece = await asyncio.to_thread(os.pread, opened.fileno(), min(PIECE, part.end - at), at)
        if not piece:  # cut meanwhile
            break
        try:
            async with asyncio.timeout(STALLED):
                await response.write(piece)
        except (TimeoutError, ConnectionResetError):  # the client reads nothing, or has left
            break
        at += len(piece)
    if at < part.end and request.transport is not None:
        request.transport.abort()  # so that nobody takes it for the whole


def _known(request: web.Request, etag: ETag, changed: int) -> bool:
    """Whether the client has the file as it is now."""
    if request.if_none_match is not None:
        return any(known.value in (etag.value, "*") for known in request.if_none_match)
    since = request.if_modified_since
    return since is not None and changed // 10**9 <= since.timestamp()


def _asked(request: web.Request, etag: ETag, size: int) -> Part:
    """Raises ValueError for a range that the file does not have. A client that had another version gets all."""
    kept = request.headers.get("If-Range", "").strip()
    if "Range" not in request.headers or (kept and kept != f'"{etag.value}"'):
        return Part(0, size, size)
    try:
        begin, end, _ = request.http_range.indices(size)
    except ValueError:  # several ranges, or something else that need not be understood
        return Part(0, size, size)
    if begin >= end:
        raise ValueError(f"no bytes from {begin} to {end} in {size}")
    return Part(begin, end, size)


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[BinaryIO]:
    opened: BinaryIO = await asyncio.to_thread(path.open, "rb")
    try:
        yield opened
    finally:
        opened.close()


def _measure(opened: BinaryIO, ends_anywhere: bool) -> tuple[int, int]:
    """How many bytes can be had, and when the file was changed, in nanoseconds since the epoch."""
    found, read = os.fstat(opened.fileno()), partial(os.pread, opened.fileno())
    return found.st_size if ends_anywhere else whole_size(found.st_size, read), found.st_mtime_ns


def _listed(index: Path) -> list[dict[str, str]]:
    """The rows of the page."""
    try:
        with index.open("rb") as file:
            lines = file.read(LARGEST_INDEX).splitlines()
        rows = [{key: str(value) for key, value in orjson.loads(line).items()} for line in lines]
    except (FileNotFoundError, orjson.JSONDecodeError):
        return []
    return rows[::-1]


def _missing(request: web.Request, text: str) -> web.Response:
    if "text/html" not in request.headers.get("Accept", ""):
        raise web.HTTPNotFound(reason=text.rstrip("."))
    return problem(request, 404, "There is nothing here", text)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/archive", to_listing),
        web.get("/archive/", listing),
        web.get("/archive/index.html", listing),
        *open_to_all("/archive/{name}", file),
    ]
