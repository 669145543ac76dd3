"""A front door of several processes, as `binder-federation serve --workers` starts it, and a steady load on it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from door_stage import SPEC, Launched, StockMember
from yarl import URL

SERVE = (sys.executable, "-m", "federation.cli", "serve", "--port", "0")
EVENTS = {"Accept": "text/event-stream"}


class Crew:
    """The process under test, its workers, and a client."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.config = folder / "federation.yaml"
        self.workers = workers
        self._log = folder / "log"
        self._stack = AsyncExitStack()

    def configure(self, members: dict[str, Any], **more: Any) -> None:
        part = self.config.with_suffix(".part")
        health = {"interval": "0.2s", "timeout": "2s", "slow_start": "0.2s"}
        told = {"members": members, "health": health, "refs": {"resolve": False}, **more}
        part.write_text(json.dumps(told), encoding="utf-8")
        part.replace(self.config)

    async def __aenter__(self) -> Crew:
        with self._log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *SERVE,
                "--config",
                str(self.config),
                "--workers",
                str(self.workers),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            line = (await self.process.stdout.readline()).decode()
        assert "ready" in line, self.log()
        self.url = line.split()[-1]
        self.session = await self._stack.enter_async_context(self.client())
        await self.until_well()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        left = self.pids()
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(30):
                await self.process.wait()
        finally:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def client(self) -> aiohttp.ClientSession:
        """Each request over a connection of its own, so that any worker may get it."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=60),
        )

    def log(self) -> str:
        return self._log.read_text()

    def pids(self) -> list[int]:
        """The workers' processes."""
        with suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.process.pid).children()]
        return []

    def mark(self, pid: int) -> str:
        """The mark of this worker, from its command line."""
        argv = psutil.Process(pid).cmdline()
        return argv[argv.index("federation.workers.worker") + 1]

    @contextmanager
    def alone(self, pid: int) -> Iterator[None]:
        """Only this worker accepts, as long as the block lasts."""
        others = [other for other in self.pids() if other != pid]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            yield
        finally:
            for other in others:
                with suppress(ProcessLookupError):
                    os.kill(other, signal.SIGCONT)

    def ask(self, path: str, **options: Any) -> Any:
        return self.session.get(URL(self.url + path, encoded=True), allow_redirects=False, **options)

    async def json(self, path: str) -> Any:
        async with self.ask(path) as answer:
            return await answer.json()

    async def text(self, path: str) -> str:
        async with self.ask(path) as answer:
            return str(await answer.text())

    async def launch(self, path: str = SPEC, **headers: str) -> Launched:
        async with self.ask(path, headers={**EVENTS, **headers}) as answer:
            body = await answer.read()
        events = [json.loads(data) for data in re.findall(rb"^data: (.*)$", body, re.MULTILINE)]
        return Launched(answer.status, dict(answer.headers), body, events)

    async def until_well(self) -> None:
        """Every worker knows of a member that takes launches."""
        await self.until(lambda told: all(told))

    async def until(self, met: Any, seconds: float = 20.0) -> None:
        """Waits until it is met by what each worker's `/active_hosts` tells."""
        async with asyncio.timeout(seconds):
            while True:
                told = []
                for pid in self.pids():
                    with self.alone(pid):
                        told.append(sorted((await self.json("/active_hosts"))["active_hosts"]))
                if len(told) == self.workers and met(told):
                    return
                await asyncio.sleep(0.05)


def configured(*members: StockMember, **more: Any) -> dict[str, Any]:
    return {member.name: {"url": member.configured().url, **more} for member in members}


class Load:
    """Launches and pages, so many a second, each over a connection of its own."""

    def __init__(self, crew: Crew, every: float) -> None:
        self.good = 0
        self.bad: list[str] = []
        self._crew = crew
        self._every = every
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        for number in range(1_000_000):
            task = asyncio.create_task(self._one(number))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await asyncio.sleep(self._every)

    async def rest(self) -> None:
        """Until all that began have ended."""
        await asyncio.gather(*self._running)

    async def _one(self, number: int) -> None:
        try:
            if number % 2:
                told = await self._crew.launch(f"/build/gh/load/repo-{number}/HEAD")
                well = told.events and told.last.get("phase") == "ready"
                why = told.body[-300:].decode()
            else:
                async with self._crew.ask("/health") as answer:
                    well, why = answer.status == 200, str(answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            well, why = False, repr(error)
        if well:
            self.good += 1
        else:
            self.bad.append(f"{number}: {why}")


class KeptConnection:
    """One request after the other over a connection that is given up when an answer says so, and never otherwise."""

    def __init__(self, crew: Crew, path: str = "/health") -> None:
        self._address = URL(crew.url)
        self._path = path.encode()
        self.answers = 0
        self.connections = 0
        self.broken = 0

    async def run(self) -> None:
        while True:
            reader, writer = await asyncio.open_connection(self._address.host, self._address.port)
            self.connections += 1
            try:
                while await self._answered(reader, writer):
                    await asyncio.sleep(0.02)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.broken += 1
            finally:
                writer.close()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open after one more answer."""
        writer.write(b"GET %s HTTP/1.1\r\nHost: door\r\n\r\n" % self._path)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))  # type: ignore[index]
        self.answers += 1
        return b"connection: close" not in head


@asynccontextmanager
async def loaded(crew: Crew, every: float = 0.02) -> AsyncIterator[Load]:
    """The load runs as long as the block lasts; afterwards all of it has ended."""
    load = Load(crew, every)
    running = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await load.rest()


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)
