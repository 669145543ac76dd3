"""Small files written whole or not at all. Knows no content."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replaces `path` in one step by a file that only this user may read (mode 0600).

    A reader sees the old text or the new one, never a half. Raises OSError.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def kept_secret(path: Path) -> str:
    """The secret of this file, 64 hexadecimal digits made at its first use, readable for this user alone."""
    try:
        secret = path.read_text().strip()
    except FileNotFoundError:
        secret = ""
    if not secret:
        secret = secrets.token_hex(32)
        write_private(path, f"{secret}\n")
    return secret
