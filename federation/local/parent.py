"""Ends this process when the one that started it is gone. Knows nothing of what the process does."""

from __future__ import annotations

import os
import signal
import threading
import time

from federation.local.child import EXIT_WITH_PARENT

_LOOK_EVERY = 0.25  # seconds


class WrongParent(Exception):
    """The variable's value is no pid."""


def follow_parent(environ: dict[str, str] | None = None) -> bool:
    """Watches the parent named in BINDER_EXIT_WITH_PARENT; its end brings this process a SIGTERM.

    A parent killed without warning cannot tell its children; the kernel then gives them another parent,
    which is what this looks for. Returns whether there is a parent to watch. Raises WrongParent.
    """
    value = (os.environ if environ is None else environ).get(EXIT_WITH_PARENT)
    if not value:
        return False
    if not value.isdecimal():
        raise WrongParent(f"{EXIT_WITH_PARENT}={value!r}: expected the pid of the parent process")
    threading.Thread(target=_watch, args=(int(value),), name="follow-parent", daemon=True).start()
    return True


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
