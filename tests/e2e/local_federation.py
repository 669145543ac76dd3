"""A whole local federation started with the command a user types, and what a visitor does with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import psutil
from yarl import URL

from federation.local.repositories import publish

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT = 120.0
LAUNCH_LIMIT = 120.0
CONFIG = """
front_door:
  health: {interval: 1s, timeout: 2s, fall: 2, rise: 1}
  launch: {connect_timeout: 15s, stuck_after: 60s}
  incidents: {member_out: 1s}
  providers: [gh, git]
member:
  sessions: {max: 150, idle_timeout: 30m}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Federation:
    """One `binder-federation up` in a folder of its own."""

    folder: Path
    runtime: str = "process"
    config: str = CONFIG
    env: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    family: list[psutil.Process] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    @property
    def members(self) -> dict[str, dict[str, Any]]:
        found = json.loads((self.folder / "ready.json").read_text())["members"]
        return {member["name"]: member for member in found}

    def start(self) -> float:
        """Starts and waits until it says that it is ready; returns the seconds that took."""
        begun = time.monotonic()
        (self.folder / "local.yaml").write_text(self.config)
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(
                        sys.executable,
                        "-m",
                        "federation.cli",
                        "up",
                        "--port",
                        str(self.port),
                        "--runtime",
                        self.runtime,
                    ),
                    *("--config", str(self.folder / "local.yaml"), "--state-dir", str(self.state)),
                    *("--ready-file", str(self.folder / "ready.json")),
                ],
                cwd=ROOT,
                env=os.environ | self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        while not (self.folder / "ready.json").exists():
            assert self.process.poll() is None, self.output
            assert time.monotonic() - begun < START_LIMIT, self.told()
            time.sleep(0.1)
        return time.monotonic() - begun

    def told(self) -> str:
        """Everything that was printed and logged, for a failed test's report."""
        logs = sorted((self.state / "logs").glob("*.log"))
        return "\n".join([self.output, *(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in logs)])

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def clean_up(self) -> None:
        """Ends whatever a failed test left, so that it is told once and disturbs nobody."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for text in self.leftovers():
            with suppress(psutil.Error):
                psutil.Process(int(text.split()[0])).kill()

    def descendants(self) -> list[str]:
        """Everything that runs below `up` now, and is looked for in `leftovers` from now on."""
        assert self.process is not None
        found = psutil.Process(self.process.pid).children(recursive=True)
        self.family.extend(found)
        return [text for process in found if (text := _shown(process))]

    def leftovers(self) -> list[str]:
        """Every process that works in the state folder or names it, and whatever once ran below `up`."""
        found = {
            process.pid: text for process in psutil.process_iter() if (text := _of_folder(process, self))
        }
        found |= {process.pid: text for process in self.family if (text := _shown(process))}
        return sorted(found.values())

    def repository(self, name: str, **files: str) -> str:
        """Adds a git repository to those the members may build; returns its spec at HEAD.

        A key's double underscore stands for the dot of a file's name.
        """
        source = self.folder / "sources" / name
        source.mkdir(parents=True, exist_ok=True)
        for key, text in {"README__md": name, **files}.items():
            path = source / key.replace("__", ".")
            path.write_text(text)
            path.chmod(0o755)
        bare = self.state / "repositories" / f"{name}.git"
        publish(source, bare)
        return spec(bare)

    def example(self, name: str) -> str:
        return spec(self.state / "repositories" / f"{name}.git")

    def kill(self, member: str) -> None:
        """Kill -9 for the member's whole process group, as a crash of all of it would be."""
        os.killpg(self.members[member]["pid"], signal.SIGKILL)

    async def all_active(self) -> None:
        """Waits until every member takes launches again."""
        async with aiohttp.ClientSession() as session:
            await eventually(lambda: self._active(session))

    async def _active(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/active_hosts") as response:
                return set((await response.json())["active_hosts"]) == set(self.members)
        except aiohttp.ClientError:
            return False


def _shown(process: psutil.Process) -> str:
    try:
        dead = not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        return "" if dead else f"{process.pid} {' '.join(process.cmdline())}"
    except psutil.Error:
        return ""


def _of_folder(process: psutil.Process, federation: Federation) -> str:
    folder = str(federation.state)
    try:
        told = [*process.cmdline(), process.cwd(), *process.environ().values()]
    except psutil.Error:
        return ""
    return _shown(process) if any(folder in word for word in told) else ""


def spec(repository: Path) -> str:
    return f"git/{quote(f'file://{repository}', safe='')}/HEAD"


async def eventually(what: Callable[[], Any], limit: float = 60.0) -> Any:
    """The first true answer, within the limit."""
    async with asyncio.timeout(limit):
        while True:
            if found := await what():
                return found
            await asyncio.sleep(0.1)


@dataclass
class Launch:
    """What one launch told, with the seconds at which it did."""

    events: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def phases(self) -> list[str]:
        return [str(event.get("phase", "")) for event in self.events]

    @property
    def log(self) -> str:
        return "".join(str(event.get("message", "")) for event in self.events)

    @property
    def members(self) -> list[str]:
        """The members that were tried, in order."""
        return [event["member"] for event in self.events if "member" in event]

    @property
    def ready(self) -> dict[str, Any]:
        last = self.events[-1] if self.events else {}
        assert last.get("phase") == "ready", self.events[-5:]
        return last

    @property
    def built(self) -> bool:
        return "building" in self.phases or "fetching" in self.phases


@asynccontextmanager
async def stream(session: aiohttp.ClientSession, url: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    timeout = aiohttp.ClientTimeout(total=LAUNCH_LIMIT)
    headers = {"Accept": "text/event-stream"}
    async with session.get(URL(url, encoded=True), headers=headers, timeout=timeout) as response:
        assert response.status == 200, await response.text()

        async def events() -> AsyncIterator[dict[str, Any]]:
            async for line in response.content:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

        yield events()


async def launch(
    session: aiohttp.ClientSession,
    door: str,
    spec: str,
    member: str = "",
    until: Callable[[dict[str, Any]], bool] = lambda event: event.get("phase") in ("ready", "failed"),
) -> Launch:
    """Launches and follows until an event ends it (or `until` says so)."""
    found = Launch()
    begun = time.monotonic()
    query = f"?member={member}" if member else ""
    async with stream(session, f"{door}/build/{spec}{query}") as events:
        async for event in events:
            found.events.append(event)
            found.times.append(time.monotonic() - begun)
            if until(event):
                break
    return found


async def shut_down(session: aiohttp.ClientSession, ready: dict[str, Any]) -> None:
    """Ends a session as its user would: through the server's own API."""
    async with session.post(f"{ready['url']}api/shutdown", params={"token": ready["token"]}) as response:
        assert response.status == 200, await response.text()


class Kernel:
    """A kernel of a running session, spoken to over its websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def run(self, code: str) -> str:
        """The value of the cell as text. Raises AssertionError with the traceback when there is none."""
        request = uuid.uuid4().hex
        header = {
            "msg_id": request,
            "msg_type": "execute_request",
            "session": "test",
            "username": "",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        await self._socket.send_json(
            {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        )
        async with asyncio.timeout(60):
            async for message in self._socket:
                assert message.type is aiohttp.WSMsgType.TEXT, message
                answer = json.loads(message.data)
                if answer["parent_header"].get("msg_id") != request:
                    continue
                assert answer["msg_type"] != "error", answer["content"]
                if answer["msg_type"] == "execute_result":
                    return str(answer["content"]["data"]["text/plain"])
        raise AssertionError("the kernel's connection ended")


@asynccontextmanager
async def kernel(session: aiohttp.ClientSession, ready: dict[str, Any]) -> AsyncIterator[Kernel]:
    token = {"token": ready["token"]}
    async with session.post(f"{ready['url']}api/kernels", params=token, json={"name": "python3"}) as response:
        assert response.status == 201, await response.text()
        identity = (await response.json())["id"]
    url = f"{ready['url']}api/kernels/{identity}/channels"
    async with session.ws_connect(url, params=token, max_msg_size=0) as socket:
        yield Kernel(socket)


async def builds(session: aiohttp.ClientSession, member: dict[str, Any], repository: str) -> float:
    """How many builds of this repository the member counts in its metrics, whatever their end."""
    async with session.get(f"{member['url']}/metrics") as response:
        lines = (await response.text()).splitlines()
    counted = (
        line for line in lines if line.startswith("binderhub_build_count_total{") and repository in line
    )
    return sum(float(line.rsplit(" ", 1)[1]) for line in counted)
