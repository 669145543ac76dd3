"""Each ended launch as one line of JSON, appended to a file. Knows no launch under way and reads nothing back.

A thread of its own writes, so that a slow disk delays no launch. What the file does not take is lost: the first
such fault is told, and the next one only after a line was written again.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from types import TracebackType

import orjson

from federation.core.decisions import Record, summary
from federation.core.facts import Listener, LoopFailed

MOST_WAITING = 1000  # lines
CLOSING = 2.0  # seconds for the lines that wait when the front door stops


class DecisionLog:
    """`async with` it: the thread lives inside the block. `file` is asked for each record; None: no file now."""

    def __init__(self, file: Callable[[], str | None], tell: Listener) -> None:
        self._file = file
        self._tell = tell
        self._queue: Queue[tuple[str, Record] | None] = Queue(MOST_WAITING)
        self._crowded = False
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> DecisionLog:
        self._loop = asyncio.get_running_loop()
        # A daemon: a disk that never answers must not keep the process from ending.
        self._thread = Thread(target=self._work, name="decision log", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(self._close, thread)

    def write(self, record: Record) -> None:
        """Puts the launch in line for the file. Never waits and never raises."""
        path = self._file()
        if path is None or self._thread is None:
            return
        try:
            self._queue.put_nowait((path, record))
        except Full:
            if not self._crowded:
                self._crowded = True
                lost = f"{path}: {MOST_WAITING} launches wait to be written, further ones are left out"
                self._failed(OSError(lost))
        else:
            self._crowded = self._crowded and self._queue.qsize() > 1

    def _close(self, thread: Thread) -> None:
        try:
            self._queue.put(None, timeout=CLOSING)
        except Full:
            return
        thread.join(CLOSING)

    def _work(self) -> None:
        """The thread."""
        file, failing = _LineFile(), False
        try:
            while (item := self._queue.get()) is not None:
                path, record = item
                try:
                    file.append(path, orjson.dumps(summary(record)))
                except Exception as error:  # a full disk or one odd record must not end the log
                    if not failing:
                        self._have_told(error)
                    failing = True
                else:
                    failing = False
        finally:
            file.close()

    def _have_told(self, error: Exception) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended, and nobody listens any more
            self._loop.call_soon_threadsafe(self._failed, error)

    def _failed(self, error: Exception) -> None:
        self._tell(LoopFailed("decision log", error))


class _LineFile:
    """A file that is appended to line by line, wherever its name points at the time."""

    def __init__(self) -> None:
        self._path = ""
        self._open: int | None = None
        self._torn = False  # the last line in the file has no end

    def append(self, path: str, line: bytes) -> None:
        """Adds the line with one write. Raises OSError when the file does not take all of it."""
        if self._open is None or path != self._path or self._moved():
            self._reopen(path)
        assert self._open is not None
        data = (b"\n" if self._torn else b"") + line + b"\n"
        written = os.write(self._open, data)
        if written:
            self._torn = data[written - 1 : written] != b"\n"
        if written < len(data):
            raise OSError(f"{path}: only {written} of {len(data)} bytes of a decision were written")

    def close(self) -> None:
        if self._open is not None:
            os.close(self._open)
            self._open = None

    def _reopen(self, path: str) -> None:
        self.close()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        self._open, self._path = os.open(path, flags, 0o640), path
        self._torn = _torn(self._open)

    def _moved(self) -> bool:
        """Whether the name no longer points at the file that is open, as after a rotation."""
        assert self._open is not None
        try:
            return not os.path.samestat(Path(self._path).stat(), os.fstat(self._open))
        except FileNotFoundError:
            return True


def _torn(file: int) -> bool:
    """Whether a crash or a full disk left the last line without its end."""
    found = os.fstat(file)
    return stat.S_ISREG(found.st_mode) and found.st_size > 0 and os.pread(file, 1, found.st_size - 1) != b"\n"
