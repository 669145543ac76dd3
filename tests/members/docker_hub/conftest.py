"""A docker member's world on the tests' own engine: hub, proxy, sessions, and images to start."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from engine_stage import Engine

from members.adapters.hub_parameters import HubParameters, read
from members.core.model import SessionRequest
from members.runtimes.docker import docker_world
from members.runtimes.world import World
from members.service.ports import Session
from members.settings import Settings
from members.settings.load import parse

PLAIN = "binder-test/plain:1"
NO_JUPYTER = "binder-test/no-jupyter:1"
BROKEN = "binder-test/broken:1"  # its entrypoint fails
HANGING = "binder-test/hanging:1"  # its entrypoint never starts the server
BARE = "binder-test/bare:1"  # has neither jupyter-notebook nor jupyter-lab
DOCKERFILES = {
    PLAIN: "",
    NO_JUPYTER: "ENV PATH=/usr/local/bin:/usr/bin:/bin",
    BROKEN: 'ENTRYPOINT ["/bin/sh", "-c", "echo the data is missing >&2; exit 3"]',
    HANGING: 'ENTRYPOINT ["/bin/sh", "-c", "sleep 1000"]',
    BARE: "RUN rm /srv/venv/bin/jupyter-notebook /srv/venv/bin/jupyter-lab",
}
MEMORY = 512 * 1024**2
_SOON = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True)
class Member:
    """A world that runs, and the engine it runs on."""

    world: World
    engine: Engine
    http: aiohttp.ClientSession
    parameters: HubParameters

    async def launch(self, image: str = PLAIN) -> tuple[Session, str]:
        """A ready session and its token."""
        wanted = session_request(image)
        session = self.world.hub.create(wanted)
        async for _ in session.progress():
            pass
        return session, wanted.token

    async def status(self, url: str) -> int:
        """Of a GET; 0 when nothing answers soon, as when the container has just ended."""
        try:
            async with self.http.get(url, allow_redirects=False, timeout=_SOON) as reply:
                return reply.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    def container(self, session: Session) -> Mapping[str, Any]:
        """What the engine tells about the session's container."""
        name = session.url.rstrip("/").rpartition("/")[2]
        [found] = [each for each in self.containers() if f"JUPYTERHUB_USER={name}" in each["Config"]["Env"]]
        return found

    def containers(self) -> list[dict[str, Any]]:
        return containers(self.engine, "binder.state")


def containers(engine: Engine, label: str) -> list[dict[str, Any]]:
    """All containers with a label, running or not."""
    while ids := engine.run("ps", "--all", "--quiet", "--filter", f"label={label}").split():
        with suppress(CalledProcessError):  # one of them was removed in between
            found: list[dict[str, Any]] = json.loads(engine.run("inspect", *ids))
            return found
    return []


def session_request(image: str = PLAIN) -> SessionRequest:
    return SessionRequest(
        image=image,
        token=secrets.token_urlsafe(16),
        repo_url="https://example.org/some/repo.git",
        ref_url="https://example.org/some/repo/tree/abc",
        launch_host="http://127.0.0.1:8585/",
        binder_request="v2/git/https%3A%2F%2Fexample.org%2Fsome%2Frepo/HEAD",
        persistent_request="v2/git/https%3A%2F%2Fexample.org%2Fsome%2Frepo/abc",
        client_ip="203.0.113.7",
    )


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def settings(engine: Engine, folder: Path, **more: Any) -> Settings:
    """Of a member on this engine; `more` are sections of config/member.yaml."""
    port, hub_port = free_ports(2)
    sections = {
        "name": "tested",
        "runtime": "docker",
        "port": port,
        "state_dir": str(folder / "state"),
        "docker": {"host": engine.host},
        "hub": {"port": hub_port},
        "sessions": {"memory": str(MEMORY), "cpu": 1.5, "pids": 100},
    }
    return parse(json.dumps(sections | more), folder / "member.yaml", {})


@asynccontextmanager
async def running(engine: Engine, wanted: Settings) -> AsyncIterator[Member]:
    """A member's world from start to end."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        docker_world(wanted, print) as world,
    ):
        yield Member(world, engine, http, read(wanted.state_dir / "hub" / "parameters.json"))


@pytest.fixture(scope="session")
def images(engine: Engine, notebook_image: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The images of DOCKERFILES, on `engine`."""
    folder = tmp_path_factory.mktemp("dockerfiles")
    for image, lines in DOCKERFILES.items():
        (folder / "Dockerfile").write_text(f"FROM {notebook_image}\n{lines}\n")
        engine.run("build", "--quiet", "--tag", image, str(folder))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(
    engine: Engine, images: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Member]:
    """One member for all tests that only use it."""
    async with running(engine, settings(engine, tmp_path_factory.mktemp("shared"))) as member:
        yield member


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def session(shared: Member) -> AsyncIterator[tuple[Session, str]]:
    """One ready session for the tests that only look."""
    ready, token = await shared.launch()
    yield ready, token
    await ready.remove()
