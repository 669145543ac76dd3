"""Ties a program that knows nothing of us to the life of this process. Knows not what the program does."""

from __future__ import annotations

from collections.abc import Sequence

from federation.local.child import EXIT_WITH_PARENT

# A parent that died before the kernel was asked is noticed by the changed parent id: no moment is left open.
_HOLD = f'[ "$PPID" = "${EXIT_WITH_PARENT}" ] || exit 1; exec "$@"'


def leashed(argv: Sequence[str]) -> tuple[str, ...]:
    """The argv of a `Program` that gets a SIGTERM the moment its parent ends, however that one ends."""
    return ("setpriv", "--pdeathsig", "TERM", "/bin/sh", "-c", _HOLD, "leash", *argv)
