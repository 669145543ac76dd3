"""Shows a launch's news on a console: log lines above, the phase below. Knows no stream and no exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.control import strip_control_codes
from rich.text import Text

from federation.follow.launch import News

_PHASES = {
    "waiting": "Waiting",
    "fetching": "Fetching the repository",
    "building": "Building",
    "pushing": "Storing the image",
    "built": "Image ready",
    "launching": "Starting the server",
    "ready": "Ready",
}


class Display:
    """Prints every line once. On a terminal a moving line below tells the phase and the member."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phase = "Contacting the front door"
        self._member = ""
        self._status = console.status(self._phase)

    @contextmanager
    def live(self) -> Iterator[None]:
        with self._status:
            yield

    def tell(self, news: News) -> None:
        self._member = news.member or self._member
        if (phase := _PHASES.get(news.phase)) is not None:
            self._phase = phase
        on = f" on {self._member}" if self._member else ""
        self._status.update(Text(f"{self._phase}{on}"))
        for line in news.text.splitlines():
            self._line(news.phase, line)

    def _line(self, phase: str, line: str) -> None:
        text = strip_terminal_codes(line)
        if not text.plain.strip():
            return
        label = Text(f"{phase:>9} ", style="dim") if phase else Text(" " * 10)
        self._console.print(label + text, soft_wrap=True)


def strip_terminal_codes(line: str) -> Text:
    """A line of somebody else's program as text: its colours are kept, whatever else could steer the
    terminal (cursor moves, titles, bells) is dropped."""
    text = Text.from_ansi(line)
    if (plain := _printable(text.plain)) != text.plain:
        return Text(plain)
    return text


def _printable(text: str) -> str:
    return "".join(sign for sign in strip_control_codes(text) if sign.isprintable() or sign == "\t")
