"""What a member tells its JupyterHub at start, and the private file it travels in; knows no meaning of it.

A file, because a command line is shown to every process of the machine and an environment is inherited.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from members.core.model import Isolation

VARIABLE = "BINDER_MEMBER_HUB_PARAMETERS"  # names the file in the hub's environment


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSessions:
    """Sessions that are processes of this machine."""

    isolation: Isolation
    memory: int | None  # of each process


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSessions:
    """Sessions that are containers."""

    docker_host: str  # the engine's socket, unix:///...
    network: str
    labels: Mapping[str, str]  # by which this member finds its containers and its network
    memory: int  # of a whole session
    cpu: float | None  # cores
    pids: int


Sessions = ProcessSessions | DockerSessions
_KINDS: Mapping[str, type[Sessions]] = {"process": ProcessSessions, "docker": DockerSessions}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubParameters:
    """Times in seconds, sizes in bytes; None means no limit. Everything but `port` is bound to loopback."""

    state_dir: Path
    host: str
    port: int  # of the proxy: the public one
    base_url: str  # path prefix of the hub and all sessions, starts and ends with a slash
    hub_port: int
    proxy_port: int  # of the proxy's REST interface
    proxy_command: tuple[str, ...]
    api_token: str
    proxy_token: str
    cookie_secret: str  # 64 hex digits
    sessions: Sessions
    max_sessions: int | None
    idle_timeout: float
    max_age: float
    launch_timeout: float
    allow_origin: str  # of the sessions' own replies; empty sends none
    front_door: str | None  # where the page of an ended session leads
    log_level: str

    @property
    def bind_url(self) -> str:
        """Where the proxy listens, prefix included."""
        return _url(self.host, self.port, self.base_url)

    @property
    def own_url(self) -> str:
        """Where this machine itself reaches the proxy: of all addresses, that of loopback."""
        return _url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port, self.base_url)

    @property
    def folder(self) -> Path:
        """The hub's own: its log, these parameters, its lock."""
        return self.state_dir / "hub"

    @property
    def proxy_pid_file(self) -> Path:
        return self.folder / "proxy.pid"

    @property
    def sessions_dir(self) -> Path:
        return self.state_dir / "sessions"


def _url(host: str, port: int, path: str) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


def write(parameters: HubParameters, path: Path) -> None:
    """Writes the file so that nobody else could read it at any moment."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        kind = next(name for name, kind in _KINDS.items() if isinstance(parameters.sessions, kind))
        json.dump({"kind": kind, **asdict(parameters)}, file, default=str)


def read(path: Path) -> HubParameters:
    """Raises OSError, ValueError, KeyError or TypeError for a file that `write` did not make."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["state_dir"] = Path(raw["state_dir"])
    raw["proxy_command"] = tuple(raw["proxy_command"])
    sessions = raw.pop("sessions")
    if "isolation" in sessions:
        sessions["isolation"] = Isolation(sessions["isolation"])
    return HubParameters(sessions=_KINDS[raw.pop("kind")](**sessions), **raw)
