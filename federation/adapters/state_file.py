"""A file that holds one JSON document, replaced as a whole. Knows nothing of what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from federation.adapters.errand import Errands
from federation.adapters.whole_file import write_whole

LARGEST = 64 * 2**20  # bytes that are read


class StateFile:
    """`ViewStore` in a folder that is made when it is not there. `name` is for messages."""

    def __init__(self, name: str) -> None:
        self._errands = Errands(name)

    async def read(self, path: str) -> object:
        return await self._errands.run(lambda: _read(Path(path)))

    async def write(self, path: str, document: Mapping[str, Any]) -> None:
        data = orjson.dumps(document)
        await self._errands.run(lambda: write_whole(with_folder(Path(path)), data))


def with_folder(path: Path) -> Path:
    """The path, in a folder that is there."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    return path


def content(path: Path) -> bytes | None:
    """What is in the file, None when there is none. Raises ValueError when it is larger than any that is ours."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    if len(data) > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST} bytes")
    return data


def _read(path: Path) -> object:
    data = content(path)
    try:
        return None if data is None else orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error})") from error
