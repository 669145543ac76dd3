"""What starts in a session: command line, environment and mounts of its Jupyter server; starts nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from members.adapters.sandbox import ENVIRONMENT, HOME, Mount, inside
from members.core.model import Isolation
from members.hub import layer
from members.hub.jupyter import arguments, variables

LAYER = Path("/srv/binder/session")  # where a session's own packages are mounted
# What a session gets of the member's environment: language, time zone and the way to the network.
_PASSED_ON = (
    *("LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


@dataclass(frozen=True, slots=True)
class Places:
    """A session's folders on the machine and how the session sees them."""

    isolation: Isolation
    environment: Path
    folder: Path  # everything of this one session, removed at its end

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def layer(self) -> Path:
        return self.folder / "packages"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def mounts(self) -> tuple[Mount, ...]:
        return (
            Mount(self.environment, ENVIRONMENT),
            Mount(self.layer, LAYER, writable=True),
            Mount(self.home, HOME, writable=True),
        )

    def seen(self, path: Path) -> Path:
        return inside(self.isolation, path, self.mounts)


def command(places: Places, *, start: str | None, port: int, base_url: str, allow_origin: str) -> list[str]:
    """The image's JupyterLab, started by the repository's `start` script (relative to home) if it has one."""
    settings = {
        "ip": "127.0.0.1",
        "port": str(port),
        "default_url": "/lab",
        "allow_root": "True",
    }
    options = arguments(settings, base_url=base_url, allow_origin=allow_origin)
    lab = [str(places.seen(places.environment / "bin" / "jupyter-lab")), *options]
    return [*_start_script(places, start), *lab]


def _start_script(places: Places, start: str | None) -> list[str]:
    """Through a shell of the session's own, which also runs a script that does not say what shall run it.

    The script may be a link to anything: nothing outside the sandbox opens it or changes its mode.
    """
    if start is None:
        return []
    return ["/bin/bash", "-c", 'chmod +x "$0" && exec "$0" "$@"', str(places.seen(places.home / start))]


def environment(
    places: Places, options: Mapping[str, object], *, user: str, base_url: str, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of the server, nothing else of the member's reaches it."""
    home, env = str(places.seen(places.home)), str(places.seen(places.environment))
    found = {name: inherited[name] for name in _PASSED_ON if name in inherited}
    found |= layer.variables(places.seen(places.layer), places.seen(places.environment))
    found |= {
        "HOME": home,
        "REPO_DIR": home,
        "USER": "jovyan",
        "NB_USER": "jovyan",
        "SHELL": "/bin/bash",
        "NB_PYTHON_PREFIX": env,
        "KERNEL_PYTHON_PREFIX": env,
    }
    found |= variables(options, user=user, base_url=base_url)
    found.setdefault("LANG", "C.UTF-8")
    if places.isolation is Isolation.NONE:
        found["TMPDIR"] = str(places.temporary)
    return found


def inherited() -> Mapping[str, str]:
    """The hub's own environment."""
    return os.environ
