"""An image registry of the tests' own, which a test may kill and start again; knows no engine."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from engine_stage import INSTALL, StageError

READY_LIMIT = 30.0  # seconds
_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http: {{addr: "{host}"}}
{more}
"""


@dataclass(slots=True)
class RunningRegistry:
    """A registry on a port of its own, which it keeps when it is started again.

    `url` is for its API, `host` the prefix of names of images in it.
    """

    folder: Path
    host: str
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def port(self) -> int:
        return int(self.host.rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def start(self) -> None:
        """Starts it, unless it runs, and waits until it answers. Raises StageError."""
        if self._process is not None and self._process.poll() is None:
            return
        program = shutil.which("docker-registry")
        if program is None:
            raise StageError(f"docker-registry not found: {INSTALL}")
        # Without pdeathsig a killed test run would leave it behind.
        command = ["setpriv", "--pdeathsig", "KILL", program, "serve", str(self.folder / "config.yml")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + READY_LIMIT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise StageError(
                    f"docker-registry did not start: {(self.folder / 'log').read_text()[-2000:]}"
                )
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends it at once. What it stored stays, and `start` serves that again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/v2/", timeout=5):
                return True
        except urllib.error.HTTPError as answer:
            return answer.code == 401
        except OSError:
            return False


def start_registry(folder: Path, *, more: str = "", address: str = "127.0.0.1") -> RunningRegistry:
    """A registry that keeps its images in `folder`; `more` are further lines of its configuration.

    Raises StageError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    registry = RunningRegistry(folder, f"{address}:{_free_port(address)}")
    config = _CONFIG.format(data=folder / "data", host=registry.host, more=more)
    (folder / "config.yml").write_text(config)
    registry.start()
    return registry


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
