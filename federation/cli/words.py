"""How a command ends, and what it says then. Knows no command."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.console import Console

from federation.follow.display import strip_terminal_codes

FAILED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130

words = Console(stderr=True, highlight=False)


def refuse(message: object, code: int) -> NoReturn:
    for line in f"Error: {message}".splitlines():  # some of it was said by others
        words.print(strip_terminal_codes(line).plain, style="red", soft_wrap=True, markup=False)
    raise typer.Exit(code)
