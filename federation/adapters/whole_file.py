"""A file that is replaced as a whole, or not at all. Knows nothing of what is in it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FOR_ALL = 0o666  # before the process's umask
PRIVATE = 0o600


def write_whole(path: Path, data: bytes, mode: int = FOR_ALL) -> None:
    """Writes beside the file and moves that into its place, on the disk before the name is: a crash leaves the old
    document or the new one. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The names in this folder are on the disk afterwards."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
