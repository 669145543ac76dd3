"""Takes in what a dead child leaves behind and ends it. Knows no child of its own by name.

The kernel hands a dead process's children to the nearest ancestor that asked for them (prctl(2),
PR_SET_CHILD_SUBREAPER). `up` asks: a proxy or a notebook whose member was killed can then not escape it,
whatever process group it is in. A process with BINDER_TIDIES_UP in its environment is left alone: a dead
member's containers are no processes below us, and it removes them. Where the kernel has no such call nothing
is taken in, and every program's own watch over its parent has to do.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection
from contextlib import suppress

from federation.local.processes import children, identify, send, told

_PR_SET_CHILD_SUBREAPER = 36
TIDIES_UP = "BINDER_TIDIES_UP"


def adopt_orphans() -> bool:
    """Asks the kernel for the orphans among this process's descendants; tells whether it agreed."""
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return False
    return int(prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0


def end_orphans(own: Collection[int]) -> int:
    """Kills and reaps every orphan; returns how many still lived. `own` are the children that are none.

    A killed orphan's own children arrive a moment later: call again until it returns 0.
    """
    orphans = [pid for pid in _orphans(own) if not told(pid, TIDIES_UP)]
    living = [process for pid in orphans if (process := identify(pid)) is not None]
    for process in living:
        send(process, signal.SIGKILL)
    reap_orphans(own)
    return len(living)


def orphans_tidy_up(own: Collection[int]) -> bool:
    """Whether an orphan is still at its work for a dead parent. It ends by itself."""
    reap_orphans(own)
    return any(told(pid, TIDIES_UP) for pid in _orphans(own) if identify(pid) is not None)


def reap_orphans(own: Collection[int]) -> None:
    """Lets go of the orphans that have ended by themselves; those that live are left alone."""
    for pid in _orphans(own):
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _orphans(own: Collection[int]) -> tuple[int, ...]:
    return tuple(pid for pid in children(os.getpid()) if pid not in own)
