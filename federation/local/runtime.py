"""Which runtime the members get, and the sentence that says why. Knows no engine's ways and starts nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from federation.local.equipment import Docker, DockerMissing
from federation.settings.local import Runtime

_HELP = (
    "On Debian `make docker-tools` installs what is missing;"
    " `--runtime process` needs none of it and builds Python repositories without containers."
)


class RuntimeMissing(Exception):
    """The runtime that was asked for cannot run here; the message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`docker` is None for the process runtime. `why` is a line for the person who started `up`."""

    docker: Docker | None
    why: str


async def choose_runtime(wanted: Runtime, find: Callable[[], Awaitable[Docker]]) -> Choice:
    """The runtime that was asked for; `auto` is docker where all it needs is there. Raises RuntimeMissing."""
    if wanted == "process":
        return Choice(None, "process, as asked for")
    try:
        docker = await find()
    except DockerMissing as missing:
        if wanted == "docker":
            lines = "\n".join(f"- {problem}" for problem in missing.problems)
            raise RuntimeMissing(f"members cannot run on Docker here:\n{lines}\n{_HELP}") from missing
        return Choice(None, f"process, since {missing.problems[0]}")
    return Choice(docker, _told(docker))


def _told(docker: Docker) -> str:
    registry = (
        "Debian's registry" if docker.registry_image is None else f"a registry from {docker.registry_image}"
    )
    base = "" if docker.base.image is None else f" on {docker.base.image}"
    return f"docker {docker.version} at {docker.host}, {registry}, {docker.base.buildpacks} buildpacks{base}"
