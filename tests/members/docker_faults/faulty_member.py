"""A docker member with a fault proxy on each of its ways, and what can be seen of it from outside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import psutil
from engine_stage import Engine
from fault_proxy import FaultProxy, fault_proxy, fault_socket
from registry_stage import RunningRegistry

from members.adapters.hub_client import HubClient
from members.adapters.hub_parameters import HubParameters, read
from members.app import serve
from members.core.facts import Tell
from members.core.labels import labels
from members.core.username import user_name
from members.runtimes.docker import docker_world
from members.runtimes.world import World
from members.settings import Settings
from members.settings.load import parse
from tests.members.docker_faults.small_jupyter import SMALL
from tests.members.docker_hub.conftest import free_ports

SEATS = 3
Event = dict[str, Any]
Events = list[Event]
_COUNT = re.compile(
    r"binderhub_(?P<what>(build|launch)_count)_total"
    r'\{.*repo="(?P<repo>[^"]*)",status="(?P<status>\w+)"\} (?P<value>\S+)'
)
_TIME = re.compile(
    r"binderhub_(?P<what>(build|launch)_time)_seconds_count\{"
    r'(retries="(?P<retries>-?\d+)",)?status="(?P<status>\w+)"\} (?P<value>\S+)'
)
_GAUGES = re.compile(r"^binderhub_inprogress_\w+ (\S+)$", re.MULTILINE)


@dataclass
class Ways:
    """The proxies, by who asks whom."""

    lookup: FaultProxy  # member to registry
    push: FaultProxy  # engine to registry
    hub: FaultProxy  # member to JupyterHub's API
    git: FaultProxy  # member and builds to the git server
    engine: FaultProxy  # member, hub and builds to the engine


@dataclass
class FaultyMember:
    """A member that runs, and what it leans on."""

    settings: Settings
    ways: Ways
    real_engine: Engine
    registry: RunningRegistry
    repositories: Path
    http: aiohttp.ClientSession
    hub: HubParameters
    nap: str  # seconds that only steps of these builds sleep for
    drawn: int = 0

    @property
    def newest(self) -> str:
        """The repository that was made last."""
        return f"repo-{self.drawn}"

    def repository(self, *steps: str, files: Mapping[str, bytes] | None = None) -> str:
        """The path of a new repository on the git server, whose Dockerfile has these lines on the small image."""
        self.drawn += 1
        folder = self.repositories / self.newest
        folder.mkdir()
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        (folder / "Dockerfile").write_text(f"FROM {SMALL}\nLABEL number={self.drawn}\n")
        _git(folder, "init", "-q", "-b", "main")
        self.commit(folder.name, *steps)
        return folder.name

    def commit(self, repository: str, *steps: str) -> None:
        """Adds these lines to the Dockerfile."""
        folder = self.repositories / repository
        with (folder / "Dockerfile").open("a") as dockerfile:
            dockerfile.write("".join(f"{step}\n" for step in steps))
        _git(folder, "add", "--all")
        _git(folder, "commit", "-q", "-m", "x")

    def spec(self, repository: str, ref: str | None = None) -> str:
        """Of the newest commit, unless of a ref which the git server is then asked for."""
        sha = ref or _git(self.repositories / repository, "rev-parse", "HEAD")
        return f"git/{quote(self.url(repository), safe='')}/{sha}"

    def url(self, repository: str) -> str:
        return f"git://{self.ways.git.host}/{repository}"

    async def follow(self, spec: str) -> AsyncGenerator[Event, None]:
        """The events of a launch as they come. Closed early, it is a visitor who leaves."""
        headers = {"Accept": "text/event-stream"}
        async with self.http.get(f"{self.settings.url}build/{spec}", headers=headers) as reply:
            async for line in reply.content:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    async def launch(self, spec: str, then: Callable[[Event], object] = lambda event: None) -> Event:
        """The last event of a launch. Each one is shown to `then`."""
        event: Event = {}
        async with asyncio.timeout(90):
            async for event in self.follow(spec):
                then(event)
        return event

    async def begin(self, spec: str, until: str) -> AsyncGenerator[Event, None]:
        """A launch that has told an event with this in its message."""
        events = self.follow(spec)
        async with asyncio.timeout(60):
            async for event in events:
                if until in str(event.get("message")):
                    return events
        raise AssertionError(f"the launch never came to {until!r}")

    async def launch_and_end(self, *specs: str) -> None:
        """Launches that are all ready before the first of them is ended."""
        ready = await asyncio.gather(*map(self.launch, specs))
        assert [event["phase"] for event in ready] == ["ready"] * len(specs), ready
        await asyncio.gather(*map(self.end, ready))

    async def end(self, ready: Event) -> None:
        """Removes the session that this event told of, at the hub itself."""
        name = ready["url"].rstrip("/").rpartition("/")[2]
        await self._ask_hub("DELETE", f"users/{name}/server")
        async with asyncio.timeout(20):
            while await self._ask_hub("DELETE", f"users/{name}") not in (204, 404):
                await asyncio.sleep(0.05)

    async def counted(self, *repositories: str) -> Counter[str]:
        """What /metrics counts: builds and launches of these repositories, and the times of all.

        As `build_count failure`, `launch_time success 0` and so on, with the retries at the end.
        """
        found: Counter[str] = Counter()
        for line in (await self._metrics()).splitlines():
            if (match := _COUNT.match(line)) and match["repo"].rpartition("/")[2] in repositories:
                found[f"{match['what']} {match['status']}"] += int(float(match["value"]))
            elif match := _TIME.match(line):
                name = " ".join(filter(None, (match["what"], match["status"], match["retries"])))
                found[name] += int(float(match["value"]))
        return found

    async def health(self) -> tuple[int, list[str]]:
        """The status of /health, and the lines that are not well."""
        async with self.http.get(f"{self.settings.url}health") as reply:
            checks = (await reply.json())["checks"]
            return reply.status, [check["service"] for check in checks if not check["ok"]]

    async def until_health(self, *failing: str) -> None:
        """Waits until exactly these lines of /health fail; a report is remembered for a second."""
        async with asyncio.timeout(15):
            while await self.health() != (503 if failing else 200, list(failing)):
                await asyncio.sleep(0.2)

    async def left_behind(self) -> list[str]:
        """Whatever is still there of launches that are over."""
        found = [f"gauge {value}" for value in _GAUGES.findall(await self._metrics()) if float(value)]
        found += [f"user {user['name']}" for user in await self._users()]
        ours = labels(self.settings.name, str(self.settings.state_dir.resolve()), "")
        run = self.real_engine.run
        found += run(
            "ps", "--all", "--filter", f"label={ours.of_state}", "--format", "container {{.ID}}"
        ).splitlines()
        untagged = ("--filter", "dangling=true", "--filter", "label=repo2docker.repo")
        found += run("images", *untagged, "--format", "image {{.ID}}").splitlines()
        builds = self.settings.state_dir / "builds"
        found += [f"folder {path.name}" for path in builds.iterdir()]
        return [*found, *(f"process {line}" for line in _processes(str(builds), f"sleep {self.nap}"))]

    async def until_nothing_is_left(self) -> None:
        """Raises AssertionError with what stays for long."""
        left = await self.left_behind()
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                while left := await self.left_behind():
                    await asyncio.sleep(0.1)
        assert left == []

    def forget_image(self, repository: str) -> None:
        """Takes the repository's image from the engine; the registry keeps it."""
        sha = _git(self.repositories / repository, "rev-parse", "HEAD")
        names = self.real_engine.run("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        self.real_engine.run("rmi", *(name for name in names if name.endswith(f":{sha}")))

    async def _metrics(self) -> str:
        async with self.http.get(f"{self.settings.url}metrics") as reply:
            return await reply.text()

    async def _users(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self._hub_api}users", headers=self._hub_token) as reply:
            users: list[dict[str, Any]] = await reply.json()
            return users

    async def _ask_hub(self, method: str, path: str) -> int:
        async with self.http.request(method, self._hub_api + path, headers=self._hub_token) as reply:
            return reply.status

    @property
    def _hub_api(self) -> str:
        return f"http://127.0.0.1:{self.hub.hub_port}{self.hub.base_url}hub/api/"

    @property
    def _hub_token(self) -> dict[str, str]:
        return {"Authorization": f"token {self.hub.api_token}"}


@asynccontextmanager
async def faulty_member(
    engine: Engine, registry: RunningRegistry, folder: Path
) -> AsyncIterator[FaultyMember]:
    """A member with all proxies open. Ends with nothing left."""
    repositories = folder / "repositories"
    repositories.mkdir()
    async with AsyncExitStack() as stack:
        git_port = await stack.enter_async_context(_git_server(repositories))
        socket = Path(engine.host.removeprefix("unix://"))
        ways = Ways(
            lookup=await stack.enter_async_context(fault_proxy("127.0.0.1", registry.port)),
            push=await stack.enter_async_context(fault_proxy("127.0.0.1", registry.port)),
            hub=FaultProxy(0),  # of a port that is known when the hub runs
            git=await stack.enter_async_context(fault_proxy("127.0.0.1", git_port)),
            engine=await stack.enter_async_context(fault_socket(folder / "engine.sock", socket)),
        )
        settings = _settings(engine, ways, folder)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await stack.enter_async_context(_serving(settings, ways))
        hub = read(settings.state_dir / "hub" / "parameters.json")
        yield FaultyMember(settings, ways, engine, registry, repositories, http, hub, f"9{os.getpid():08d}")


def _settings(engine: Engine, ways: Ways, folder: Path) -> Settings:
    """Every limit is as short as a good launch on a busy machine lets it be."""
    port, hub_port = free_ports(2)
    sections = {
        "name": "faulty",
        "runtime": "docker",
        "port": port,
        "state_dir": str(folder / "state"),
        "docker": {"host": f"unix://{folder}/engine.sock"},
        "image_prefix": f"{ways.push.host}/binder-",
        "registry": {
            "url": f"http://{ways.lookup.host}",
            "docker_config": str(engine.docker_config),
            "timeout": "2s",
        },
        "providers": {"git": {"timeout": "3s"}},
        "build": {
            "timeout": "15s",
            "concurrent": 4,
            "silence": "8s",
            "output": "500K",
            "disk": "20M",
            "pids": 100,
            "memory": "1G",
        },
        "sessions": {"max": SEATS, "launch_timeout": "20s", "launch_attempts": 1, "memory": "256M"},
        "hub": {"port": hub_port},
        "rate_limit": {"launches": 0},
    }
    return parse(json.dumps(sections), folder / "member.yaml", {})


@asynccontextmanager
async def _serving(settings: Settings, ways: Ways) -> AsyncIterator[None]:
    ready, stop = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def world(settings: Settings, tell: Tell) -> AsyncIterator[World]:
        async with docker_world(settings, tell) as real, _hub_by_proxy(settings, ways) as hub:
            yield replace(real, hub=hub)

    member = asyncio.create_task(serve(settings, world, announce=lambda _: ready.set(), stop=stop))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({member, waiting}, timeout=90, return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), member.exception() if member.done() else "the member is not ready"
        yield
    finally:
        waiting.cancel()
        stop.set()
        await member


@asynccontextmanager
async def _hub_by_proxy(settings: Settings, ways: Ways) -> AsyncIterator[HubClient]:
    """The member's client of its hub, with the proxy between them."""
    hub = read(settings.state_dir / "hub" / "parameters.json")
    async with (
        fault_proxy("127.0.0.1", hub.hub_port) as ways.hub,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        yield HubClient(
            http=http,
            api_url=f"http://{ways.hub.host}{hub.base_url}hub/api/",
            proxied_api_url=f"{hub.own_url}hub/api/",
            api_token=hub.api_token,
            public_url=settings.hub_url,
            user_name=lambda url: user_name(url, os.urandom(4).hex()),
            launch_timeout=settings.sessions.launch_timeout,
            request_timeout=2.0,
            attempts=2,
            retry_delay=0.2,
        )


@asynccontextmanager
async def _git_server(repositories: Path) -> AsyncIterator[int]:
    [port] = free_ports(1)
    command = ["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"]
    command += [f"--base-path={repositories}"]
    server = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        for child in psutil.Process(server.pid).children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        server.kill()
        server.wait()


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def _processes(*marks: str) -> list[str]:
    """The command lines, of the whole machine, that have one of these in them and come from these tests."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if any(mark in line for mark in marks):
                found.append(line)
    return found
