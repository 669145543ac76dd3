"""Each ended launch as one line of JSON, appended to a file. Knows no launch under way and reads nothing back.

What the file does not take is lost: the first such fault is told, and the next one only after a line was written again.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import orjson

from federation.adapters.line_writer import LineFile, WriterThread
from federation.core.decisions import Record, summary
from federation.core.facts import Listener

MOST_WAITING = 1000  # lines


class DecisionLog:
    """`async with` it: the thread lives inside the block. `file` is asked for each record; None: no file now."""

    def __init__(self, file: Callable[[], str | None], tell: Listener) -> None:
        self._file = file
        self._lines = LineFile()
        self._thread = WriterThread(
            "decision log", self._append, tell, most=MOST_WAITING, end=self._lines.close
        )

    async def __aenter__(self) -> DecisionLog:
        await self._thread.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._thread.__aexit__(kind, error, trace)

    def write(self, record: Record) -> None:
        """Puts the launch in line for the file. Never waits and never raises."""
        path = self._file()
        if path is not None:
            self._thread.put((path, record))

    def _append(self, item: tuple[str, Record]) -> None:
        path, record = item
        self._lines.append(path, orjson.dumps(summary(record)) + b"\n")
