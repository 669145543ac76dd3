"""Which process is which, read from the kernel. Knows no program by name.

A pid alone names nobody for long. Together with the boot and the moment of its start it names one process
for ever, so that no signal ever reaches a stranger.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process. `started` is in clock ticks after the boot named by `boot` (proc(5), stat field 22)."""

    pid: int
    started: int
    boot: str


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    group: int
    started: int
    dead: bool


def _stat(pid: int) -> _Stat | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The program's name stands in brackets and may itself hold spaces and brackets.
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(parent=int(fields[1]), group=int(fields[2]), started=int(fields[19]), dead=fields[0] in "ZX")


def _boot() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def identify(pid: int) -> Identity | None:
    """The process that has this pid now; None when there is none (a zombie counts as gone)."""
    stat = _stat(pid)
    return None if stat is None or stat.dead else Identity(pid, stat.started, _boot())


def runs(process: Identity) -> bool:
    return identify(process.pid) == process


def write_pid_file(path: Path, process: Identity) -> None:
    path.write_text(json.dumps(asdict(process)))


def read_pid_file(path: Path) -> Identity | None:
    """The process a pid file names; None when the file is damaged, which is no reason to signal anybody."""
    try:
        found = json.loads(path.read_text())
        return Identity(int(found["pid"]), int(found["started"]), str(found["boot"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def family(root: Identity) -> tuple[Identity, ...]:
    """The process, its descendants and the members of its process group, as they are now."""
    if not runs(root):
        return ()
    boot = _boot()
    stats = {pid: stat for pid in _pids() if (stat := _stat(pid)) is not None and not stat.dead}
    found = {root.pid}
    grown = True
    while grown:
        grown = False
        for pid, stat in stats.items():
            if pid not in found and (stat.parent in found or stat.group == root.pid):
                found.add(pid)
                grown = True
    return tuple(Identity(pid, stats[pid].started, boot) for pid in sorted(found) if pid in stats)


def children(pid: int) -> tuple[int, ...]:
    """The pids of a process's children, zombies among them."""
    return tuple(child for child in _pids() if (stat := _stat(child)) is not None and stat.parent == pid)


def told(pid: int, variable: str) -> bool:
    """Whether the process was started with this variable in its environment; False too when that is not to see."""
    try:
        found = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return any(entry.startswith(f"{variable}=".encode()) for entry in found.split(b"\0"))


def send(process: Identity, number: signal.Signals) -> None:
    """Signals the process if it is still the one meant."""
    if runs(process):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)


def _pids() -> Iterator[int]:
    with suppress(OSError):
        for entry in PROC.iterdir():
            if entry.name.isdecimal():
                yield int(entry.name)
