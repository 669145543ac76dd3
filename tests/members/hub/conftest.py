"""A real image, hub and proxy for the tests of sessions."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest
import pytest_asyncio

from members.adapters.hub_client import HubClient, HubSession
from members.adapters.hub_parameters import ProcessSessions
from members.adapters.hub_process import HubProcess
from members.adapters.oci_layout import START_LABEL, unpacked_path
from members.adapters.proxy_install import ensure_proxy
from members.adapters.sandbox import SandboxMissing, detect
from members.core.model import Isolation, SessionRequest

IMAGE = "registry.example.org/i-plain:1"
STARTED = "registry.example.org/i-start:1"  # has a start script
BROKEN = "registry.example.org/i-broken:1"  # its start script fails
HANGING = "registry.example.org/i-hanging:1"  # its start script never comes to an end
SCRIPTS = {
    IMAGE: None,
    STARTED: '#!/bin/bash\nexport GREETING="from start"\nexec "$@"\n',
    BROKEN: "echo the data is missing >&2\nexit 3\n",
    HANGING: "#!/bin/sh\nsleep 1000\n",
}
TOOLS = Path(sys.executable).parent
REPO_URL = "https://example.org/some/repo.git"


@dataclass(frozen=True)
class Running:
    """A started hub and its client."""

    hub: HubProcess
    client: HubClient
    url: str
    state_dir: Path
    isolation: Isolation
    http: aiohttp.ClientSession

    async def launch(self, image: str = IMAGE) -> tuple[HubSession, str]:
        """A ready session and its token."""
        wanted = session_request(image)
        session = self.client.create(wanted)
        async for _ in session.progress():
            pass
        return session, wanted.token

    async def text(self, url: str) -> tuple[int, str]:
        async with self.http.get(url, allow_redirects=False) as reply:
            return reply.status, await reply.text()


def session_request(image: str = IMAGE) -> SessionRequest:
    return SessionRequest(
        image=image,
        token=secrets.token_urlsafe(16),
        repo_url=REPO_URL,
        ref_url="https://example.org/some/repo/tree/abc",
        launch_host="http://127.0.0.1:8585/",
        binder_request="v2/git/https%3A%2F%2Fexample.org%2Fsome%2Frepo/HEAD",
        persistent_request="v2/git/https%3A%2F%2Fexample.org%2Fsome%2Frepo/abc",
        client_ip="203.0.113.7",
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def client_of(http: aiohttp.ClientSession, api_url: str, api_token: str, public_url: str) -> HubClient:
    return HubClient(
        http=http,
        api_url=api_url,
        proxied_api_url=f"{public_url}hub/api/",
        api_token=api_token,
        public_url=public_url,
        user_name=lambda repo_url: f"some-repo-{secrets.token_hex(4)}",
        launch_timeout=60.0,
        retry_delay=0.05,
    )


def hub_options(state_dir: Path, isolation: Isolation, proxy_command: list[str]) -> dict[str, object]:
    port = free_port()
    return {
        "state_dir": state_dir,
        "host": "127.0.0.1",
        "port": port,
        "proxy_command": proxy_command,
        "sessions": ProcessSessions(isolation=isolation, memory=8 * 1024**3),
        "public_url": f"http://127.0.0.1:{port}/",
        "max_sessions": 4,
        "idle_timeout": 600.0,
        "max_age": 3600.0,
        "launch_timeout": 60.0,
        "front_door": "https://binder.example.org/",
    }


@asynccontextmanager
async def running(options: dict[str, object]) -> AsyncIterator[Running]:
    """A hub from start to end."""
    hub = HubProcess(**options)  # type: ignore[arg-type]
    url, state_dir, sessions = str(options["public_url"]), options["state_dir"], options["sessions"]
    assert isinstance(state_dir, Path)
    assert isinstance(sessions, ProcessSessions)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        await hub.start()
        try:
            client = client_of(http, hub.api_url, hub.api_token, url)
            yield Running(hub, client, url, state_dir, sessions.isolation, http)
        finally:
            await hub.stop()


def unpack_images(state_dir: Path, environment: Path) -> None:
    """Lays the images of SCRIPTS out as the image store does."""
    for image, script in SCRIPTS.items():
        unpacked = unpacked_path(state_dir, image)
        (unpacked / "home" / "binder").mkdir(parents=True)
        (unpacked / "env").symlink_to(environment)
        (unpacked / "home" / "index.ipynb").write_text("{}")
        labels = {}
        if script is not None:
            (unpacked / "home" / "binder" / "start").write_text(script)
            labels[START_LABEL] = "binder/start"
        (unpacked / "image.json").write_text(json.dumps({"labels": labels, "layers": [], "image": image}))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment as builds make it."""
    folder = tmp_path_factory.mktemp("image") / "env"
    uv = TOOLS / "uv"
    subprocess.run([uv, "venv", "-q", "--relocatable", "--python", sys.executable, folder], check=True)
    packages = ["jupyterlab", "notebook", "ipykernel", "pip"]
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", folder / "bin" / "python"]
    subprocess.run([*install, *packages], check=True, timeout=300)
    return folder


@pytest.fixture
def state_dir(tmp_path: Path, environment: Path) -> Path:
    """A member's folder with the unpacked images."""
    unpack_images(tmp_path / "state", environment)
    return tmp_path / "state"


@pytest.fixture(scope="session")
def proxy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxy")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def proxy_command(proxy_cache: Path) -> list[str]:
    return await ensure_proxy(print, cache=proxy_cache)


def fence(wanted: Isolation) -> Isolation:
    """The isolation wanted, or none on a machine where bubblewrap does not work."""
    try:
        return detect(wanted.value)
    except SandboxMissing:
        return Isolation.NONE


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=list(Isolation), ids=lambda isolation: isolation.value
)
async def shared(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment: Path,
    proxy_command: list[str],
) -> AsyncIterator[Running]:
    """One hub of each isolation for all tests that only use it."""
    state_dir = tmp_path_factory.mktemp("shared") / "state"
    unpack_images(state_dir, environment)
    async with running(hub_options(state_dir, fence(request.param), proxy_command)) as hub:
        yield hub


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def session(shared: Running) -> AsyncIterator[tuple[HubSession, str]]:
    """One ready session for the tests that only look."""
    ready, token = await shared.launch()
    yield ready, token
    await ready.remove()


def children(hub: Running) -> list[psutil.Process]:
    """Every process below the hub."""
    return psutil.Process(hub.hub.pid).children(recursive=True)


def command(process: psutil.Process) -> list[str]:
    """Its command line; empty when it has just ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
