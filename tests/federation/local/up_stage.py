"""The real `up` as a process of its own over stand-ins for members and front door, and what is left of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil

RUN_UP = Path(__file__).with_name("run_up.py")
PATIENCE = 30.0


def until(what: Callable[[], Any], limit: float = PATIENCE) -> Any:
    end = time.monotonic() + limit
    while not (found := what()):
        assert time.monotonic() < end, f"waited {limit:.0f} s for {what}"
        time.sleep(0.05)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Run:
    """One state folder, the `up` in it, and every process that it ever named."""

    folder: Path
    port: int = field(default_factory=free_port)
    runtime: str = "process"
    env: dict[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def ready_file(self) -> Path:
        return self.folder / "ready" / "file.json"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def start(self, output: int | None = None) -> Run:
        self.ready_file.parent.mkdir(exist_ok=True)
        with (self.folder / "output").open("ab") as file:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    str(RUN_UP),
                    str(self.state),
                    str(self.port),
                    str(self.ready_file),
                    self.runtime,
                    *self.more,
                ],
                env=os.environ | self.env,
                stdout=file if output is None else output,
                stderr=file,
            )
        return self

    def ready(self) -> dict[str, Any]:
        def look() -> bool:
            assert self.process is not None and self.process.poll() is None, self.output
            return self.ready_file.exists()

        until(look)
        found: dict[str, Any] = json.loads(self.ready_file.read_text())
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def helpers(self) -> list[int]:
        return [int(file.read_text()) for file in self.state.glob("*.helper")]

    def leftovers(self) -> list[psutil.Process]:
        """Whatever still runs: everything that names the state folder, and the detached helpers."""
        found = [process for process in psutil.process_iter() if _names(process, str(self.state))]
        for pid in self.helpers():
            with suppress(psutil.NoSuchProcess):  # it may end between two looks
                if is_sleep(pid):
                    found.append(psutil.Process(pid))
        return found

    def clean_up(self) -> None:
        """Ends whatever a failed test left."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for process in self.leftovers():
            with suppress(psutil.NoSuchProcess):  # they end by themselves, a moment after `up` was killed
                process.kill()


def _names(process: psutil.Process, text: str) -> bool:
    try:
        return text in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/health") as response:
            return bool(response.status == 200)
    except OSError:
        return False


def is_sleep(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name() == "sleep" and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
