"""Lines that a thread of its own appends to files: a slow disk delays no launch. Knows nothing of what they say.

What the disk does not take is told once, and again only after it took something meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Generic, TypeVar

from federation.core.facts import Listener, LoopFailed

CLOSING = 2.0  # seconds for what waits when the front door stops
AGAIN = 1.0  # seconds until what did not work is tried again

T = TypeVar("T")
# What to do about a last line without an end: given the open file, and its size before the write that tore it, None if
# that was long ago. Gives what the next write is to begin with.
Mend = Callable[[int, int | None], bytes]


def nothing() -> None:
    """What needs no doing."""


class WriterThread(Generic[T]):
    """`async with` it: inside the block, a thread gives each item that was `put` to `take`, in their order.

    `rest` is called whenever all were taken, `every` so many seconds without any, and again soon when it failed.
    `gather` is how long items come together first. `end` is called last. `most` items may wait; further ones are left
    out.
    """

    def __init__(
        self,
        name: str,
        take: Callable[[T], None],
        tell: Listener,
        *,
        most: int,
        rest: Callable[[], None] = nothing,
        end: Callable[[], None] = nothing,
        every: float | None = None,
        gather: float = 0.0,
    ) -> None:
        self._name = name
        self._take, self._rest, self._end = take, rest, end
        self._tell = tell
        self._most = most
        self._every, self._gather = every, gather
        self._items: deque[T] = deque()
        self._news, self._closing = Event(), Event()
        self._crowded = False
        self._failing: set[Callable[..., None]] = set()  # what did not work when it was tried last
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> WriterThread[T]:
        self._loop = asyncio.get_running_loop()
        # A daemon: a disk that never answers must not keep the process from ending.
        self._thread = Thread(target=self._work, name=self._name, daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._closing.set()
            self._news.set()
            await asyncio.to_thread(thread.join, CLOSING)

    @property
    def waiting(self) -> int:
        """Items that were not taken yet."""
        return len(self._items)

    def put(self, item: T) -> None:
        """Puts the item in line. Never waits and never raises; outside the block it does nothing."""
        if self._thread is None:
            return
        if len(self._items) < self._most:
            self._crowded = self._crowded and bool(self._items)
            self._items.append(item)
            if not self._news.is_set():
                self._news.set()
        elif not self._crowded:
            self._crowded = True
            self._failed(OSError(f"{self._most} launches wait to be written, further ones are left out"))

    def _work(self) -> None:
        """The thread."""
        try:
            self._tried(self._rest)
            while not self._closing.is_set():
                if self._news.wait(AGAIN if self._rest in self._failing else self._every) and self._gather:
                    self._closing.wait(self._gather)
                self._news.clear()  # before taking: what comes after is news again
                self._take_all()
            self._take_all()
        finally:
            self._end()

    def _take_all(self) -> None:
        while self._items:
            self._tried(self._take, self._items.popleft())
        self._tried(self._rest)

    def _tried(self, work: Callable[..., None], *item: T) -> None:
        try:
            work(*item)
        except Exception as error:  # a full disk or one odd item must not end the thread
            if work not in self._failing:
                self._failing.add(work)
                self._have_told(error)
        else:
            self._failing.discard(work)

    def _have_told(self, error: Exception) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended, and nobody listens any more
            self._loop.call_soon_threadsafe(self._failed, error)

    def _failed(self, error: Exception) -> None:
        self._tell(LoopFailed(self._name, error))


def begin_anew(file: int, before: int | None) -> bytes:
    """Leaves a torn line as it is, for whoever looks for faults."""
    return b"\n"


class LineFile:
    """A file that whole lines are appended to, wherever its name points at the time."""

    def __init__(self, mend: Mend = begin_anew, permissions: int = 0o640) -> None:
        self._mend = mend
        self._permissions = permissions
        self._path = ""
        self._open: int | None = None
        self._lead = b""

    def append(self, path: str, lines: bytes) -> None:
        """Adds the lines, each with its end, in one write. Raises OSError when the file does not take all of it."""
        if self._open is None or path != self._path or self._moved():
            self._reopen(path)
        assert self._open is not None
        data, before = self._lead + lines, os.fstat(self._open).st_size
        written = os.write(self._open, data)
        if written == len(data):
            self._lead = b""
            return
        if written:
            self._lead = b"" if data[written - 1 : written] == b"\n" else self._mend(self._open, before)
        raise OSError(f"{path}: only {written} of {len(data)} bytes were written")

    def close(self) -> None:
        if self._open is not None:
            os.close(self._open)
            self._open = None

    def _reopen(self, path: str) -> None:
        self.close()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        self._open, self._path = os.open(path, flags, self._permissions), path
        self._lead = self._mend(self._open, None) if torn(self._open) else b""

    def _moved(self) -> bool:
        """Whether the name no longer points at the file that is open, as after a rotation."""
        assert self._open is not None
        try:
            return not os.path.samestat(Path(self._path).stat(), os.fstat(self._open))
        except FileNotFoundError:
            return True


def torn(file: int) -> bool:
    """Whether a crash or a full disk left the last line without its end."""
    found = os.fstat(file)
    return stat.S_ISREG(found.st_mode) and found.st_size > 0 and os.pread(file, 1, found.st_size - 1) != b"\n"
