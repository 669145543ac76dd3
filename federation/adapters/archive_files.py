"""Each ended launch as a line of the public archive. Knows no page and reads nothing back.

A thread of its own makes the lines and writes them, a moment's launches at once. Lines that the disk does not take wait
for the time when it does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import orjson

from federation.adapters.archive_folder import ArchiveFolder
from federation.adapters.line_writer import WriterThread
from federation.core.archive import day_of, folder_of, line_of, origin_of
from federation.core.facts import Fact, LaunchEnded, Listener, Redirected
from federation.core.rules import Settings
from federation.service.ports import Clock

MOST_WAITING = 100_000  # launches, before and after their lines are made
GATHER = 0.2  # seconds in which launches come together
TEND_EVERY = 30.0  # seconds without a launch until the folder is looked after

Kept = LaunchEnded | Redirected


class ArchiveFiles:
    """A listener; `async with` it. Without a folder in the configuration it does nothing."""

    def __init__(self, in_force: Callable[[], Settings], clock: Clock, tell: Listener) -> None:
        self._in_force = in_force
        self._clock = clock
        self._lines: dict[str, list[bytes]] = {}  # by day: those that are not in a file yet
        self._where: str | None = None
        self._folder: ArchiveFolder | None = None
        self._thread = WriterThread[Kept](
            "archive",
            self._take,
            tell,
            most=MOST_WAITING,
            rest=self._write,
            end=self._end,
            every=TEND_EVERY,
            gather=GATHER,
        )

    async def __aenter__(self) -> ArchiveFiles:
        await self._thread.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._thread.__aexit__(kind, error, trace)

    def listen(self, fact: Fact) -> None:
        if isinstance(fact, LaunchEnded | Redirected) and folder_of(self._in_force()) is not None:
            self._thread.put(fact)

    def _take(self, fact: Kept) -> None:
        """Makes the launch's line. Raises OSError when too many wait already."""
        if sum(map(len, self._lines.values())) >= MOST_WAITING:
            raise OSError(f"{MOST_WAITING} launches wait for room on the disk, further ones are left out")
        line = orjson.dumps(line_of(fact, origin_of(self._in_force())), option=orjson.OPT_APPEND_NEWLINE)
        self._lines.setdefault(day_of(fact.at), []).append(line)

    def _write(self) -> None:
        """Brings the files up to date. Raises OSError; what is not written then, is the next time."""
        settings, now = self._in_force(), self._clock.now()
        folder = self._at(folder_of(settings), now)
        if folder is None:
            self._lines.clear()  # there are some only if there is to be no archive any more
            return
        try:
            for day in sorted(self._lines):
                folder.append(day, self._lines[day])
                del self._lines[day]
        except FileNotFoundError:  # somebody removed the folder; it is made anew the next time
            self._folder = None
            raise
        finally:  # on a full disk too: old files may have to go
            folder.tend(now, settings.archive.keep, settings.title)

    def _at(self, where: str | None, now: float) -> ArchiveFolder | None:
        """The folder that is configured now. The first launch makes it: a front door that has none leaves nothing."""
        if where != self._where:
            self._end()
        if where is not None and self._folder is None and (self._lines or Path(where).is_dir()):
            self._folder = ArchiveFolder(Path(where), now)
        self._where = where
        return self._folder

    def _end(self) -> None:
        """Leaves the folder, with its lists as of now."""
        folder, self._folder = self._folder, None
        if folder is not None:
            try:
                folder.list(self._clock.now(), self._in_force().title)
            finally:
                folder.close()
