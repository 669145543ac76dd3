"""A member on Docker for the benchmark: engine, registry, base images, and the ways to launch. Measures nothing.

Everything is of the benchmark's own, in a temporary folder, and ends with it. Needs root and `make docker-tools`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import yaml
from base_stage import BASE, NOTEBOOK, load_base_images
from engine_stage import Engine, start_engine
from registry_stage import start_registry
from yarl import URL

from federation.local.repositories import publish

START_LIMIT, LAUNCH_LIMIT, STOP_LIMIT = 120.0, 300.0, 60.0  # seconds
REMOVE_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the request to these events; None for one that did not come."""

    built: float | None
    ready: float | None
    failed: float | None
    image: str = ""
    user: str = ""


class Bench:
    """The member, its hub, and repositories to launch."""

    def __init__(self, http: aiohttp.ClientSession, folder: Path, engine: Engine, url: str) -> None:
        self._http = http
        self._folder = folder
        self._url = url
        self.engine = engine
        hub = json.loads((folder / "state" / "hub" / "parameters.json").read_text())
        self._api = f"http://127.0.0.1:{hub['hub_port']}{hub['base_url']}hub/api/"
        self._headers = {"Authorization": f"token {hub['api_token']}"}

    def repository(self, name: str, files: dict[str, str]) -> str:
        """A new repository; its spec."""
        source = self._folder / "sources" / name
        source.mkdir(parents=True)
        for file, text in files.items():
            (source / file).write_text(text)
        bare = self._folder / "repositories" / f"{name}.git"
        publish(source, bare)
        return f"git/{quote(f'file://{bare}', safe='')}/HEAD"

    async def launch(self, spec: str) -> Times:
        """Through the member, as a visitor's page does."""
        begun = time.perf_counter()
        seen: dict[str, float] = {}
        event: dict[str, Any] = {}
        url = URL(f"{self._url}/build/{spec}", encoded=True)
        async with self._http.get(url, headers={"Accept": "text/event-stream"}) as answer:
            async for line in answer.content:
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    seen.setdefault(str(event.get("phase")), time.perf_counter() - begun)
                    if event.get("phase") in ("ready", "failed"):
                        break
        user = str(event.get("url", "")).rstrip("/").rpartition("/")[2]
        return Times(
            seen.get("built"), seen.get("ready"), seen.get("failed"), str(event.get("image", "")), user
        )

    async def bare(self, image: str) -> Times:
        """The same image through JupyterHub's own API: user, server, progress until it is ready."""
        user = f"bench-{secrets.token_hex(4)}"
        options = {
            "image": image,
            "repo_url": "https://example.org/bench",
            "token": secrets.token_urlsafe(16),
        }
        options |= dict.fromkeys(("binder_ref_url", "binder_request", "binder_persistent_request"), "bench")
        options |= {"binder_launch_host": f"{self._url}/", "binder_client_ip": "127.0.0.1"}
        begun = time.perf_counter()
        await self._ask("POST", f"users/{user}")
        await self._ask("POST", f"users/{user}/servers/", options)
        progress = f"{self._api}users/{user}/server/progress"
        async with self._http.get(progress, headers=self._headers) as answer:
            async for line in answer.content:
                if line.startswith(b"data:") and json.loads(line[5:]).get("ready"):
                    return Times(None, time.perf_counter() - begun, None, image, user)
        raise RuntimeError(f"JupyterHub did not start {image}")

    async def remove(self, *users: str) -> None:
        """Ends sessions and waits until they are gone, so that none weighs on the next measurement."""
        await asyncio.gather(*(self._remove(user) for user in users if user))

    async def _remove(self, user: str) -> None:
        for _ in range(int(STOP_LIMIT / REMOVE_PAUSE)):
            if await self._ask("DELETE", f"users/{user}/server") in (204, 404):
                await self._ask("DELETE", f"users/{user}")
                return
            await asyncio.sleep(REMOVE_PAUSE)
        raise RuntimeError(f"the session {user} did not end within {STOP_LIMIT:.0f} s")

    async def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> int:
        async with self._http.request(method, self._api + path, json=body, headers=self._headers) as answer:
            if answer.status >= 400 and answer.status != 404:
                raise RuntimeError(f"JupyterHub, {method} {path}: {answer.status} {await answer.text()}")
            return answer.status


@contextlib.asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    """A member that is healthy, with its own engine and registry; everything ends with the block."""
    engine = await asyncio.to_thread(start_engine)
    try:
        await asyncio.to_thread(load_base_images, engine)
        registry = await asyncio.to_thread(start_registry, folder / "registry")
        try:
            port = _free_port()
            document = _member(folder, engine, registry.url, registry.host, port)
            (folder / "member.yaml").write_text(yaml.safe_dump(document))
            async with _serving(folder, engine, f"http://127.0.0.1:{port}") as found:
                yield found
        finally:
            registry.kill()
    finally:
        await asyncio.to_thread(engine.stop)


@contextlib.asynccontextmanager
async def _serving(folder: Path, engine: Engine, url: str) -> AsyncIterator[Bench]:
    with (folder / "member.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "members.cli", "serve", "--config", str(folder / "member.yaml")),
            env=os.environ
            | {"DOCKER_CONFIG": str(engine.docker_config), "BINDER_EXIT_WITH_PARENT": str(os.getpid())},
            stdout=log,
            stderr=log,
        )
    timeout = aiohttp.ClientTimeout(total=LAUNCH_LIMIT)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http:
            deadline = time.monotonic() + START_LIMIT
            while not await _healthy(http, url):
                if process.returncode is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the member did not start:\n{(folder / 'member.log').read_text()}")
                await asyncio.sleep(0.2)
            yield Bench(http, folder, engine, url)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), STOP_LIMIT)


async def _healthy(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def _member(folder: Path, engine: Engine, registry: str, host: str, port: int) -> dict[str, Any]:
    (folder / "repositories").mkdir()
    return {
        "name": "bench",
        "runtime": "docker",
        "port": port,
        "state_dir": str(folder / "state"),
        "image_prefix": f"{host}/bench-",
        "docker": {"host": engine.host},
        "registry": {"url": registry},
        "providers": {
            "git": {"protocols": ["file"], "file_roots": [str(folder / "repositories")]},
            "gh": None,
        },
        "build": {
            "buildpacks": "venv",
            "base_image": BASE,
            # The containers of this engine have no way out; builds get theirs from the host.
            "repo2docker_args": ["--DockerEngine.extra_buildx_build_args=--network=host"],
        },
        "sessions": {"max": 20},
        "rate_limit": {"launches": 0},
        "hub": {"port": _free_port()},
        "log": {"level": "warning"},
    }


def dockerfile(*lines: str) -> str:
    return "\n".join([f"FROM {NOTEBOOK}", "COPY --chown=jovyan . /home/jovyan", *lines, ""])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
