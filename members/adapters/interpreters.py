"""The Python interpreters of this machine; knows nothing of what is made with them.

The system's are preferred: every member of the machine has them at the same path, and no home must be opened
for them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DEFAULT = ">=3.10"  # what the locked base environment is made for
_LOOK = 60.0  # seconds that a look at the machine's interpreters may take

# Prints the real executable and the version; fails where parts of the standard library are not installed.
_PROBE = (
    "import ctypes, json, os, sqlite3, ssl, sys, zlib\n"
    "print(json.dumps([os.path.realpath(sys._base_executable), list(sys.version_info[:3])]))"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`path` is the real executable, outside any virtual environment."""

    path: Path
    version: tuple[int, int, int]

    @property
    def name(self) -> str:
        """As in `python3.11`."""
        return f"python{self.version[0]}.{self.version[1]}"


def find(uv: Path, request: str | None) -> Interpreter | None:
    """The interpreter for a version ("3.11") or a range (">=3.12"), None when there is none. Blocks.

    `request` must be one of these, as `core.recipe` makes sure: uv would run a program that it names.
    """
    found = _uv(uv, "find", "--system", "--", request or DEFAULT)
    usable = _probe(found.strip()) if found else None
    if usable is None and request is None:
        return _probe(sys.executable)
    return usable


def versions(uv: Path) -> tuple[str, ...]:
    """The versions there are on this machine, newest first, for a message. Blocks."""
    listed = _uv(uv, "list", "--only-installed", "--output-format", "json")
    parts = {tuple(entry["version_parts"].values()) for entry in json.loads(listed or "[]")}
    return tuple(".".join(map(str, version)) for version in sorted(parts, reverse=True))


def _uv(uv: Path, *arguments: str) -> str | None:
    """What `uv python ...` printed, None when it failed.

    It may use what is installed, and download nothing.
    """
    path = f"/usr/bin:/usr/local/bin:/bin:{os.environ.get('PATH', '')}"
    environment = {"PATH": path, "HOME": str(Path.home()), "UV_NO_CACHE": "1"}
    argv = [str(uv), "--no-python-downloads", "--no-config", "python", *arguments]
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=_LOOK,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def _probe(python: str) -> Interpreter | None:
    try:
        done = subprocess.run(
            [python, "-I", "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_LOOK,
            stdin=subprocess.DEVNULL,
        )
        path, (major, minor, patch) = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(Path(path), (major, minor, patch))
