"""One `up` per state folder. Knows nothing of what the holder does."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Locked(Exception):
    """Another process holds the folder; the message names it."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Holds the lock file while the block runs.

    The kernel lets go of it when the holder dies in any way, so a stale lock cannot exist. Raises Locked.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise Locked(
                f"{path.parent} is in use by another `up` (pid {holder}):"
                " stop it, or choose another --state-dir"
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)
