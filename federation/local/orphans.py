"""Takes in what a dead child leaves behind and ends it. Knows no child of its own by name.

The kernel hands a dead process's children to the nearest ancestor that asked for them (prctl(2),
PR_SET_CHILD_SUBREAPER). `up` asks: a proxy or a notebook whose member was killed can then not escape it,
whatever process group it is in. Where the kernel has no such call nothing is taken in, and every program's
own watch over its parent has to do.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection
from contextlib import suppress

from federation.local.processes import children, identify, send

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> bool:
    """Asks the kernel for the orphans among this process's descendants; tells whether it agreed."""
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return False
    return int(prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0


def end_orphans(own: Collection[int]) -> int:
    """Kills and reaps every child of this process that is not one of `own`; returns how many still lived.

    A killed orphan's own children arrive a moment later: call again until it returns 0.
    """
    living = [process for pid in _orphans(own) if (process := identify(pid)) is not None]
    for process in living:
        send(process, signal.SIGKILL)
    reap_orphans(own)
    return len(living)


def reap_orphans(own: Collection[int]) -> None:
    """Lets go of the orphans that have ended by themselves; those that live are left alone."""
    for pid in _orphans(own):
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _orphans(own: Collection[int]) -> tuple[int, ...]:
    return tuple(pid for pid in children(os.getpid()) if pid not in own)
