"""Where a worker stands, as its captain tells it on the command line. Knows neither of them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.workers.passing import door_of


@dataclass(frozen=True, slots=True)
class Post:
    """Where a worker stands."""

    mark: str
    folder: Path
    captain: int  # its process
    channel: int
    listening: tuple[int, ...]

    @property
    def door(self) -> Path:
        return door_of(self.folder, self.mark)

    def argv(self) -> list[str]:
        """The arguments of the process; `read` reads them."""
        return [self.mark, str(self.folder), str(self.captain), str(self.channel), *map(str, self.listening)]

    @classmethod
    def read(cls, argv: Sequence[str]) -> Post:
        mark, folder, captain, channel, *listening = argv
        return cls(mark, Path(folder), int(captain), int(channel), tuple(map(int, listening)))


def new_mark() -> str:
    """As many random characters as tell workers apart, fit for an id and a file's name."""
    return secrets.token_hex(3)
