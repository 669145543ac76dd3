"""A local federation whose members run on a Docker engine of the tests' own, and what is on that engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from engine_stage import Engine
from local_federation import ROOT, Federation, free_port

SEATS = 4  # of each member: a machine survives as many notebooks of two members
START_LIMIT = 60.0  # seconds
# Containers of the tests' engine have no way out; what a build installs comes through the host's own network.
REPO2DOCKER_ARGS = ["--DockerEngine.extra_buildx_build_args=--network=host"]


def docker_federation(folder: Path, engine: Engine, base_image: str) -> Federation:
    config = {
        "front_door": {
            "health": {"interval": "1s", "timeout": "5s", "fall": 2, "rise": 1},
            "launch": {"connect_timeout": "15s", "stuck_after": "60s"},
            "waiting": {"places": 0},  # of a hundred visitors most would wait for ever
            "providers": ["gh", "git"],
        },
        "member": {
            "build": _build(base_image),
            "sessions": {"max": SEATS, "idle_timeout": "30m", "memory": "1G"},
        },
    }
    environment = {"DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(engine.docker_config)}
    return Federation(folder, runtime="docker", config=yaml.safe_dump(config), env=environment)


@contextmanager
def one_more_member(
    folder: Path, engine: Engine, base_image: str, federation: Federation
) -> Iterator[dict[str, Any]]:
    """A member of its own on another engine, which shares registry and image names with the federation."""
    folder.mkdir()
    like = yaml.safe_load((federation.state / "member-a.yaml").read_text())
    document = {
        "name": "elsewhere",
        "port": free_port(),
        "runtime": "docker",
        "state_dir": str(folder / "state"),
        "image_prefix": like["image_prefix"],
        "docker": {"host": engine.host},
        "registry": like["registry"],
        "providers": like["providers"],
        "build": _build(base_image),
        "hub": {"port": free_port()},
    }
    (folder / "member.yaml").write_text(yaml.safe_dump(document))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "members.cli", "serve", "--config", str(folder / "member.yaml")],
            cwd=ROOT,
            env=os.environ | {"DOCKER_CONFIG": str(engine.docker_config)},
            stdout=log,
            stderr=log,
        )
    member = {"name": "elsewhere", "url": f"http://127.0.0.1:{document['port']}"}
    try:
        _wait(process, member["url"], folder / "log")
        yield member
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def _build(base_image: str) -> dict[str, Any]:
    return {"buildpacks": "venv", "base_image": base_image, "repo2docker_args": REPO2DOCKER_ARGS}


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            with urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def containers(engine: Engine) -> list[str]:
    """The members' containers, running or not."""
    return engine.run("ps", "--all", "--quiet", "--filter", "label=binder.state").split()


def networks(engine: Engine) -> list[str]:
    return engine.run("network", "ls", "--quiet", "--filter", "label=binder.state").split()
