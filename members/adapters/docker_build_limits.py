"""Memory, processes and disk of what runs inside builds. Knows no build and no engine's API.

The engine's BuildKit offers no limits: 20.10 ignores buildx's --cgroup-parent and --ulimit. But an engine runs the
steps of all builds below one cgroup named buildkit, which root on the same machine may limit: all of them together,
and each one. Where that cgroup is no engine tells, so it is recognised by the first step that runs in it.
No kernel limits what a step writes: one that writes too much is killed, as the kernel does for memory.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from members.adapters.docker_build_watch import size_of

_ROOT = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
_PARENT = "buildkit"
_UNLIMITED = 1 << 62  # bytes; version 1 writes about twice as many for no limit
_DEPTHS = ("*", "*/*", "*/*/*")


class StepLimits:
    """`memory` bytes, `pids` processes (threads count too) and `layer` bytes on disk are for one step; `steps`
    of them may run at once."""

    def __init__(
        self,
        *,
        memory: int,
        pids: int,
        layer: int,
        steps: int,
        engine_root: Path | None,
        root: Path = _ROOT,
        proc: Path = _PROC,
    ) -> None:
        """`engine_root` is the folder of the engine's data; None when that is not on this machine."""
        self._memory = memory
        self._pids = pids
        self._layer = layer
        self._room = 0  # free bytes of the engine's disk when no step had begun to write
        self._steps = steps
        self._engine_root = engine_root
        self._proc = proc
        self._hierarchies = _hierarchies(root)
        self._found: tuple[Path, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether this process may set limits at all."""
        writable = [path for path in self._hierarchies if os.access(path, os.W_OK)]
        return self._engine_root is not None and bool(writable)

    def hold(self) -> bool:
        """Sets the limits on all steps together and on each that runs now. Whether the cgroups are known.

        Whose step it is cannot be seen: of several members on one engine each step has the least limit, and all
        together have the greatest.
        """
        if not self._found and self._engine_root is not None:
            self._found = tuple(self._search(str(self._engine_root)))
        steps = [step for parent in self._found for step in _folders(parent)]
        for parent in self._found:
            _limit(parent, self._memory * self._steps, self._pids * self._steps, max)
        for step in steps:
            _limit(step, self._memory, self._pids, min)
        with suppress(OSError):
            self._hold_disk(steps)
        return bool(self._found)

    def _hold_disk(self, steps: list[Path]) -> None:
        """Only when much was written since the first step began is it worth while to look who wrote it."""
        if self._engine_root is None:
            return
        free = shutil.disk_usage(self._engine_root).free
        if not steps:
            self._room = free
        if self._room - free < self._layer:
            return
        for step in steps:
            mount = _root_mount(step, self._proc)
            written = re.search(r"\bupperdir=([^,\s]+)", mount)
            if written and size_of(Path(written[1])) > self._layer:
                _kill(step)

    def _search(self, engine_root: str) -> Iterator[Path]:
        for hierarchy in self._hierarchies:
            for depth in _DEPTHS:
                for parent in hierarchy.glob(f"{depth}/{_PARENT}"):
                    if any(_runs_on(engine_root, step, self._proc) for step in _folders(parent)):
                        yield parent


def _hierarchies(root: Path) -> tuple[Path, ...]:
    """Version 2 has one hierarchy for everything, version 1 one for each controller."""
    if (root / "cgroup.controllers").is_file():
        return (root,)
    return tuple(path for path in (root / "memory", root / "pids") if path.is_dir())


def _folders(parent: Path) -> list[Path]:
    try:
        return [entry for entry in parent.iterdir() if entry.is_dir()]
    except OSError:
        return []  # the last step has ended


def _runs_on(engine_root: str, step: Path, proc: Path) -> bool:
    """Whether a step has its root file system from this engine."""
    return f"={engine_root}/" in _root_mount(step, proc)


def _root_mount(step: Path, proc: Path) -> str:
    """How the kernel describes the root file system of a step's first process; empty when it has ended."""
    with suppress(OSError, IndexError):
        for line in (proc / _pids(step)[0] / "mountinfo").read_text().splitlines():
            if line.split()[4] == "/":
                return line
    return ""


def _pids(step: Path) -> list[str]:
    return (step / "cgroup.procs").read_text().split()


def _kill(step: Path) -> None:
    with suppress(OSError):
        for pid in _pids(step):
            os.kill(int(pid), signal.SIGKILL)


def _limit(cgroup: Path, memory: int, pids: int, choose: Callable[[int, int], int]) -> None:
    """Sets what this cgroup has a file for, of version 1 and of version 2.

    Other members on this engine write here too; `choose` is what becomes of their limit and ours. Memory with swap
    may at no moment be less than memory alone: once before, for a higher limit, once after.
    """
    for name, value in (
        ("memory.memsw.limit_in_bytes", memory),
        ("memory.limit_in_bytes", memory),
        ("memory.memsw.limit_in_bytes", memory),
        ("memory.max", memory),
        ("memory.swap.max", 0),
        ("pids.max", pids),
    ):
        file = cgroup / name
        with suppress(OSError, ValueError):
            if file.is_file():
                there = file.read_text().strip()
                limited = there != "max" and int(there) < _UNLIMITED
                wanted = choose(int(there), value) if limited else value
                if not limited or wanted != int(there):
                    file.write_text(f"{wanted}\n")
