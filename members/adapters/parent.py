"""Ends this process with the one that started it, however that one ends. Knows neither."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class ParentGone(Exception):
    """The process that was to be outlived by nobody has ended already."""


def end_with_parent(pid: int) -> None:
    """From now on the death of the parent, which must be process `pid`, ends this process as SIGTERM does.

    Raises ParentGone when another process is the parent: the real one died before the kernel was asked.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if os.getppid() != pid:
        raise ParentGone(f"process {pid} is not the parent of this one any more")
