"""Ends what a killed `up` left running. Signals only processes whose identity was written down."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from federation.local.processes import Identity, family, read_pid_file, runs, send

_PATIENCE = 10.0  # seconds for an orderly end
_LOOK_EVERY = 0.1


def end_leftovers(pids: Path) -> tuple[str, ...]:
    """Ends every process that a pid file of the folder names, with its family; returns which still ran.

    Blocks for up to some ten seconds. Only for a caller that holds the state folder's lock.
    """
    found: dict[str, Identity] = {}
    for path in sorted(pids.glob("*.json")):
        process = read_pid_file(path)
        if process is not None and runs(process):
            found[path.stem] = process
    families = [member for process in found.values() for member in family(process)]
    for process in found.values():
        send(process, signal.SIGTERM)
    _wait(families, _PATIENCE)
    for process in families:
        send(process, signal.SIGKILL)
    _wait(families, _PATIENCE)
    for path in pids.glob("*.json"):
        path.unlink(missing_ok=True)
    return tuple(found)


def _wait(processes: list[Identity], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while any(runs(process) for process in processes) and time.monotonic() < limit:
        time.sleep(_LOOK_EVERY)
