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
    living = 0
    for pid in children(os.getpid()):
        if pid in own:
            continue
        process = identify(pid)
        if process is not None:
            living += 1
            send(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return living
