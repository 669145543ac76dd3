"""Ties a child process to the life of its parent; knows nothing of what the child does.

The kernel sends SIGKILL to the child the moment its parent ends, however it ends. The signal belongs to the
thread that started the child, so start leashed children from a thread that lives as long as the process.
"""

from __future__ import annotations

from collections.abc import Sequence

# A parent that died before the kernel was asked is noticed by the changed parent id: no moment is left open.
_HOLD = '[ "$PPID" = "$1" ] || exit 1; shift; exec "$@"'


def leashed(argv: Sequence[str], *, parent: int) -> list[str]:
    """The argv that runs `argv` only as long as its direct parent, the process `parent`, lives."""
    return ["setpriv", "--pdeathsig", "KILL", "/bin/sh", "-c", _HOLD, "leash", str(parent), *argv]
