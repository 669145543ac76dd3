"""A real image, hub and proxy for the tests of sessions."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from members.adapters.hub_client import HubClient, HubSession
from members.adapters.hub_process import HubProcess
from members.adapters.oci_layout import START_LABEL, unpacked_path
from members.adapters.proxy_install import ensure_proxy
from members.adapters.sandbox import SandboxMissing, detect
from members.core.model import Isolation, SessionRequest

IMAGE = "registry.example.org/i-plain:1"
STARTED = "registry.example.org/i-start:1"  # has a start script
BROKEN = "registry.example.org/i-broken:1"  # its start script fails
HANGING = "registry.example.org/i-hanging:1"  # its start script never comes to an end
TOOLS = Path(sys.executable).parent


@dataclass(frozen=True)
class Running:
    """A started hub and its client."""

    hub: HubProcess
    client: HubClient
    url: str
    state_dir: Path
    http: aiohttp.ClientSession

    async def launch(self, image: str = IMAGE, token: str | None = None) -> tuple[HubSession, str]:
        """A ready session and its token."""
        wanted = session_request(image, token)
        session = await self.client.create(wanted)
        async for _ in session.progress():
            pass
        return session, wanted.token


def session_request(image: str = IMAGE, token: str | None = None) -> SessionRequest:
    return SessionRequest(
        image=image,
        token=token or secrets.token_urlsafe(16),
        repo_url="https://example.org/some/repo.git",
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


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment as builds make it."""
    folder = tmp_path_factory.mktemp("image") / "env"
    uv = TOOLS / "uv"
    subprocess.run([uv, "venv", "-q", "--relocatable", "--python", sys.executable, folder], check=True)
    packages = ["jupyterlab", "notebook", "ipykernel", "pip"]
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", folder / "bin" / "python"]
    subprocess.run([*install, *packages], check=True, timeout=110)
    return folder


@pytest.fixture
def state_dir(tmp_path: Path, environment: Path) -> Path:
    """A member's folder with four unpacked images."""
    scripts = {
        IMAGE: None,
        STARTED: '#!/bin/bash\nexport GREETING="from start"\nexec "$@"\n',
        BROKEN: "echo the data is missing >&2\nexit 3\n",
        HANGING: "#!/bin/sh\nsleep 1000\n",
    }
    state = tmp_path / "state"
    for image, script in scripts.items():
        unpacked = unpacked_path(state, image)
        (unpacked / "home" / "binder").mkdir(parents=True)
        (unpacked / "env").symlink_to(environment)
        (unpacked / "home" / "index.ipynb").write_text("{}")
        labels = {}
        if script is not None:
            (unpacked / "home" / "binder" / "start").write_text(script)
            labels[START_LABEL] = "binder/start"
        (unpacked / "image.json").write_text(json.dumps({"labels": labels, "layers": [], "image": image}))
    return state


@pytest.fixture(scope="session")
def proxy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxy")


@pytest.fixture(params=list(Isolation), ids=lambda isolation: isolation.value)
def isolation(request: pytest.FixtureRequest) -> Isolation:
    """Both ways, or the only one that this machine has."""
    if request.param is Isolation.BUBBLEWRAP:
        try:
            detect("bubblewrap")
        except SandboxMissing:
            return Isolation.NONE
    assert isinstance(request.param, Isolation)
    return request.param


@pytest.fixture
async def start_hub(state_dir: Path, proxy_cache: Path) -> AsyncIterator[Callable[..., object]]:
    """Starts hubs that are ended with the test."""
    started: list[HubProcess] = []
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

        async def start(**changed: object) -> Running:
            port = free_port()
            options: dict[str, object] = {
                "state_dir": state_dir,
                "host": "127.0.0.1",
                "port": port,
                "proxy_command": await ensure_proxy(print, cache=proxy_cache),
                "isolation": detect("auto"),
                "public_url": f"http://127.0.0.1:{port}/",
                "memory": None,
                "max_sessions": 5,
                "idle_timeout": 600.0,
                "max_age": 3600.0,
                "launch_timeout": 60.0,
            }
            options.update(changed)
            hub = HubProcess(**options)  # type: ignore[arg-type]
            started.append(hub)
            await hub.start()
            url = str(options["public_url"])
            client = HubClient(
                http=http,
                api_url=hub.api_url,
                api_token=hub.api_token,
                public_url=url,
                user_name=lambda repo_url: f"some-repo-{secrets.token_hex(4)}",
                launch_timeout=60.0,
                retry_delay=0.1,
            )
            return Running(hub, client, url, state_dir, http)

        yield start
        for hub in started:
            await hub.stop()


def inherited_environment() -> dict[str, str]:
    """Ours, for programs that a test starts."""
    return dict(os.environ)
