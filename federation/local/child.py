"""One child process: started, watched and ended together with its process group. Knows no back-off."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from federation.local.processes import identify, write_pid_file

EXIT_WITH_PARENT = "BINDER_EXIT_WITH_PARENT"


@dataclass(frozen=True, slots=True)
class Program:
    """What to start and where it leaves its log and its process's identity.

    `port` is the one it will listen on, for messages only.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    pid_file: Path
    port: int
    folder: Path
    env: Mapping[str, str]


class Child:
    """A running program. Starting it raises OSError when the system refuses."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.started = time.monotonic()
        with program.log.open("ab") as log:
            self._process = subprocess.Popen(
                program.argv,
                cwd=program.folder,
                env={
                    **os.environ,
                    **program.env,
                    EXIT_WITH_PARENT: str(os.getpid()),
                    "PYTHONUNBUFFERED": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if (process := identify(self.pid)) is not None:
            write_pid_file(program.pid_file, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Waits for its end, ends what is left of its group, and returns the exit code (negative: a signal).

        The dead child is looked at before it is reaped: as long as it is not, nobody else can get its pid,
        so the signal to its group cannot reach a stranger.
        """
        await _end_of(self.pid)
        self._signal_group(signal.SIGKILL)
        code = self._process.wait()
        self._program.pid_file.unlink(missing_ok=True)
        return code

    def ask_to_end(self) -> None:
        """SIGTERM to the program alone: it knows best in which order its own children end."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        # The group has the child's pid as its number, because the child began a session of its own.
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


async def _end_of(pid: int) -> None:
    """Waits until the child has ended, without reaping it (pidfd_open(2): readable from then on)."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    handle = os.pidfd_open(pid)
    try:
        loop.add_reader(handle, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
