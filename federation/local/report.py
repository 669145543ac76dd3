"""What `up` tells the person who started it. Knows no process; the words and their order are all it has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

_TAIL = 12  # lines of a log that are shown when its program failed
_TAIL_BYTES = 16384


class Report:
    """Steps with a moving sign on a terminal, plain lines anywhere else.

    Never raises: a terminal that was closed or a pipe that nobody reads must not keep `up` from stopping
    what it started.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Shows a step while it lasts. What it found out is said by `say`."""
        if not self._console.is_terminal:
            self._print(Text(f"{doing} ..."))
            yield
            return
        status = self._console.status(Text(doing))
        with self._heard_or_not():
            status.start()
        try:
            yield
        finally:
            with self._heard_or_not():
                status.stop()

    def say(self, text: str) -> None:
        self._print(Text(text))

    def done(self, text: str) -> None:
        self._print(Text("✓ ", style="green") + Text(text))

    def warn(self, text: str) -> None:
        self._print(Text("! ", style="yellow") + Text(text))

    def _print(self, text: Text) -> None:
        with self._heard_or_not():
            self._console.print(text, soft_wrap=True)

    @contextmanager
    def _heard_or_not(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SystemExit):  # rich answers a broken pipe with SystemExit
            self._speak_to_nobody()

    def _speak_to_nobody(self) -> None:
        """What is still buffered would fail once more when Python ends, and spoil the exit code."""
        with suppress(OSError, ValueError):
            nobody = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nobody, self._console.file.fileno())
            os.close(nobody)


def tail(log: Path) -> list[str]:
    """The last lines of a log, empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-_TAIL:]


def ending(code: int | None) -> str:
    """How a program ended, in words."""
    if code is None:
        return "could not be started"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
