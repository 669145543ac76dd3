"""A container engine and an image registry of the tests' own; knows no part of the federation.

Nothing here leans on an engine that happens to run on the machine, or touches its bridges and firewall. Several
can run at once. What was started ends with the process that started it, also when that is killed.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

INSTALL = "run `make docker-tools`, which installs what Docker's tests need"
_KEEPER = Path(__file__).with_name("engine_keeper.py")
_STOP_LIMIT = 60.0  # seconds until an engine and its data are gone
_NETWORKS = [ipaddress.IPv4Network(f"10.{number}.0.0/16") for number in range(100, 250)]


class StageError(Exception):
    """The machine cannot give the tests what they need; the message says how it could."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine.

    `host` is for DOCKER_HOST, `docker_config` for DOCKER_CONFIG, `address` is the host's on the engine's bridge:
    containers reach the host there, and nothing else.
    """

    host: str
    folder: Path
    docker_config: Path
    address: str
    _keeper: subprocess.Popen[str] = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with the docker command led to this engine."""
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.docker_config)}

    def run(self, *arguments: str, timeout: float = 300.0) -> str:
        """What `docker ARGUMENTS` prints. Raises CalledProcessError, with the command's complaint as its note."""
        try:
            return subprocess.run(
                ["docker", *arguments],
                env=self.environment,
                check=True,
                capture_output=True,
                text=True,
                timeout=timeout,
            ).stdout
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr)
            raise

    def stop(self) -> None:
        """Ends the engine with all its containers and removes its data."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        self._keeper.wait(_STOP_LIMIT)


def start_engine() -> Engine:
    """An empty engine. Raises StageError."""
    _demand_tools()
    buildx = _buildx()
    folder = Path(tempfile.mkdtemp(prefix="binder-engine-"))
    docker_config = folder / "config"
    (docker_config / "cli-plugins").mkdir(parents=True)
    (docker_config / "cli-plugins" / "docker-buildx").symlink_to(buildx)
    (docker_config / "config.json").write_text("{}")
    bridge = f"bft{secrets.token_hex(4)}"
    with _alone():
        network = _free_network()
        # The lower half is the bridge's, the upper that of networks made later.
        lower, upper = network.subnets(prefixlen_diff=1)
        address = str(next(lower.hosts()))
        keeper = subprocess.Popen(
            [sys.executable, str(_KEEPER), str(folder), bridge, f"{address}/{lower.prefixlen}", str(upper)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert keeper.stdout is not None
        said = keeper.stdout.readline()
    if said != "ready\n":
        rest = keeper.communicate()[0]
        raise StageError(f"The tests' own Docker engine did not start: {said}{rest}")
    return Engine(f"unix://{folder}/docker.sock", folder, docker_config, address, keeper)


def _demand_tools() -> None:
    if os.geteuid() != 0:
        raise StageError(
            "These tests start a Docker engine of their own, which only root can: run them as root."
        )
    wanted = ("dockerd", "docker", "containerd", "runc", "iptables", "ip", "setpriv")
    missing = [name for name in wanted if shutil.which(name) is None]
    if missing:
        raise StageError(f"{', '.join(missing)} not found: {INSTALL}")


def _buildx() -> Path:
    """Docker's plugin, from the folders where docker looks for it: the user's own first."""
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    system = [
        Path("/usr", *parts) for parts in (("local", "lib"), ("local", "libexec"), ("lib",), ("libexec",))
    ]
    for folder in (own, *(place / "docker" for place in system)):
        plugin = folder / "cli-plugins" / "docker-buildx"
        if os.access(plugin, os.X_OK):
            return plugin.resolve()
    raise StageError(f"docker has no buildx plugin: {INSTALL}")


@contextmanager
def _alone() -> Iterator[None]:
    """Of all processes that are about to choose a network, one at a time."""
    with (Path(tempfile.gettempdir()) / "binder-engine.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _free_network() -> ipaddress.IPv4Network:
    """A network that no route of this machine leads to, chosen by chance."""
    listed = subprocess.run(
        ["ip", "-json", "-4", "route", "show", "table", "all"], check=True, capture_output=True, timeout=10
    ).stdout
    taken = [
        ipaddress.IPv4Network(route["dst"], strict=False)
        for route in json.loads(listed)
        if route["dst"][0].isdigit()
    ]
    free = [one for one in _NETWORKS if not any(one.overlaps(other) for other in taken)]
    if not free:
        raise StageError("No network between 10.100.0.0 and 10.249.0.0 is free for the tests' own engine.")
    return random.choice(free)
