"""Memory and processes of what runs inside builds, held by the kernel. Knows no build and no engine's API.

The engine's BuildKit offers no limits: 20.10 ignores buildx's --cgroup-parent and --ulimit. But it runs the steps
of all builds below one cgroup, which root on the same machine may limit: all of them together, and each one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PARENTS = ("docker/buildkit", "system.slice/docker/buildkit", "system.slice/buildkit", "buildkit")


@dataclass(frozen=True, slots=True)
class StepLimits:
    """`memory` bytes and `pids` processes (threads count too) of one step; `steps` of them may run at once."""

    memory: int
    pids: int
    steps: int
    root: Path = _ROOT

    def prepare(self) -> bool:
        """Makes the cgroup where it is known beforehand, so that the first step finds it. Whether limits hold."""
        if (
            self.root / "memory" / "docker"
        ).is_dir():  # version 1, and an engine that uses it without systemd
            for controller in ("memory", "pids"):
                with suppress(OSError):
                    (self.root / controller / _PARENTS[0]).mkdir(parents=True, exist_ok=True)
        return self.hold()

    def hold(self) -> bool:
        """Sets the limits on all steps together and on each that runs now. Whether there was anything to set."""
        held = False
        for parent in self._parents():
            held |= _limit(parent, self.memory * self.steps, self.pids * self.steps)
            with suppress(OSError):
                for step in [entry for entry in parent.iterdir() if entry.is_dir()]:
                    _limit(step, self.memory, self.pids)
        return held

    def _parents(self) -> Iterator[Path]:
        for controller in (".", "memory", "pids"):
            for name in _PARENTS:
                path = self.root / controller / name
                if path.is_dir():
                    yield path


def _limit(cgroup: Path, memory: int, pids: int) -> bool:
    """Sets what this cgroup has a file for. Whether one was set."""
    done = False
    # Version 1, then 2. Swap last: it may not be less than memory. Twice, for a limit that is lowered.
    for name, value in (
        ("memory.memsw.limit_in_bytes", memory),
        ("memory.limit_in_bytes", memory),
        ("memory.memsw.limit_in_bytes", memory),
        ("memory.max", memory),
        ("memory.swap.max", 0),
        ("pids.max", pids),
    ):
        file = cgroup / name
        with suppress(OSError):
            if file.is_file():
                file.write_text(f"{value}\n")
                done = True
    return done
