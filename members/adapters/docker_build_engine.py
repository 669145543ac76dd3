"""What a builder asks of its container engine with the docker command; knows no builds."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from members.adapters.environment import SYSTEM_PATH
from members.core.model import BuildBroken

_TIMEOUT = 20.0  # seconds for an answer
_BUILDX = (
    "The docker command has no buildx plugin, which repo2docker needs: install docker-buildx-plugin "
    "(Docker's packages) or docker-buildx (Debian's)."
)


@dataclass(frozen=True, slots=True)
class DockerCommand:
    """The docker command for one engine. `config` is a folder for DOCKER_CONFIG. Every call blocks."""

    host: str
    config: Path
    path: str = SYSTEM_PATH

    def require(self) -> Path | None:
        """Where the engine keeps images and builds; None when that is not on this machine.

        Raises BuildBroken, saying what is missing, unless builds are possible.
        """
        try:
            self._run("buildx", "version")
        except FileNotFoundError as error:
            raise BuildBroken(
                "The docker command was not found: install docker.io or docker-ce-cli."
            ) from error
        except (OSError, subprocess.SubprocessError) as error:
            raise BuildBroken(_BUILDX) from error
        try:
            info = json.loads(self._run("info", "--format", "{{json .}}"))
            if info.get("ServerErrors"):
                raise BuildBroken(f"The container engine at {self.host}: {'; '.join(info['ServerErrors'])}")
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise BuildBroken(f"The container engine at {self.host} does not answer.") from error
        root = Path(info.get("DockerRootDir") or "/nowhere").resolve()
        return root if self.host.startswith("unix://") and root.is_dir() else None

    def answers(self) -> bool:
        """Whether the engine is there."""
        try:
            self._run("version", "--format", "{{.Server.Version}}")
        except (OSError, subprocess.SubprocessError):
            return False
        return True

    def _run(self, *arguments: str) -> str:
        variables = {"PATH": self.path, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.config)}
        return subprocess.run(
            ["docker", *arguments],
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            text=True,
            timeout=_TIMEOUT,
        ).stdout
