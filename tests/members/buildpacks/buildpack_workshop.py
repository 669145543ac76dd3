"""Builds small repositories with the real repo2docker on the tests' own engine, and runs what came out."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from engine_stage import Engine

from members.buildpacks import repo2docker_config

BUILD_LIMIT = 300.0  # seconds


@dataclass
class Workshop:
    """Builds the repository `folder` into an image of this test's own."""

    engine: Engine
    base: str
    folder: Path
    image: str
    said: str = ""

    def add(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def build(self, *arguments: str) -> int:
        """repo2docker's exit code; what it said is then in `said`."""
        command = [sys.executable, "-I", "-m", "repo2docker", "--config", repo2docker_config.__file__]
        command += ["--json-logs", "--no-run", "--user-id", "1000", "--user-name", "jovyan"]
        command += ["--image-name", self.image, *arguments, str(self.folder)]
        done = subprocess.run(
            command,
            env={**self.engine.environment, "BINDER_BASE_IMAGE": self.base},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_LIMIT,
            check=False,
        )
        self.said = "".join(_message(line) for line in done.stdout.splitlines())
        return done.returncode

    def built(self, *arguments: str) -> None:
        """Builds with the host's network: the engine's own bridge leads nowhere."""
        code = self.build("--DockerEngine.extra_buildx_build_args=--network=host", *arguments)
        assert code == 0, self.said

    def run(self, *command: str) -> str:
        """What a command prints in a container of the image."""
        return self.engine.run("run", "--rm", self.image, *command)


def _message(line: str) -> str:
    try:
        return str(json.loads(line)["message"])
    except ValueError:
        return f"{line}\n"
