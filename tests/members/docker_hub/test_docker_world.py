"""A docker member from start to end: what it needs, what faults of its engine do to it, what it leaves (nothing)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import aiohttp
import psutil
import pytest
from contract_files import told, without_comments
from contract_member import told_start
from engine_stage import Engine

from members.core.labels import labels
from members.core.model import LaunchFailed
from members.runtimes.docker import docker_host, docker_world
from members.runtimes.world import RuntimeFailed
from members.settings.load import parse
from tests.members.docker_hub.conftest import (
    HANGING,
    PLAIN,
    containers,
    free_ports,
    running,
    settings,
)
from tests.members.hub.kernels import run

ROOT = Path(__file__).parents[3]


class Gate:
    """A socket in front of an engine's, which can be shut: connections are cut, new ones refused."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.path = folder / "gate.sock"
        self.host = f"unix://{self.path}"
        self._engine = engine.host.removeprefix("unix://")
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._engine)
        self._open |= {writer, back}
        await asyncio.wait(
            {asyncio.create_task(_copy(reader, back)), asyncio.create_task(_copy(there, writer))},
            return_when=asyncio.FIRST_COMPLETED,
        )
        self._open -= {writer, back}
        for each in (writer, back):
            each.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@pytest.mark.parametrize("host", [None, "tcp://127.0.0.1:2375"], ids=["socket", "tcp"])
async def test_no_engine_is_told_plainly(host: str | None, tmp_path: Path) -> None:
    section = f"docker: {{host: 'unix://{tmp_path}/no.sock'}}" if host is None else ""
    wanted = parse(f"runtime: docker\nstate_dir: {tmp_path}/state\n{section}", tmp_path / "member.yaml", {})
    if host is None:
        with pytest.raises(RuntimeFailed, match=r"no container engine answers at .*no\.sock.*docker\.io"):
            async with docker_world(wanted, print):
                pass
    else:
        with pytest.raises(
            RuntimeFailed, match=r"DOCKER_HOST is tcp://127\.0\.0\.1:2375: expected the engine's"
        ):
            docker_host(wanted, {"DOCKER_HOST": host})
    assert not (tmp_path / "state").exists()


@pytest.mark.integration
@pytest.mark.docker
async def test_a_registry_that_is_not_there_is_told_plainly(engine: Engine, tmp_path: Path) -> None:
    [port] = free_ports(1)
    wanted = settings(
        engine,
        tmp_path,
        registry={"url": f"http://127.0.0.1:{port}"},
        image_prefix=f"127.0.0.1:{port}/binder-",
    )
    with pytest.raises(RuntimeFailed, match=rf"registry\.url: .*127\.0\.0\.1:{port} is unreachable"):
        async with docker_world(wanted, print):
            pass


@pytest.mark.integration
@pytest.mark.docker
async def test_leftovers_go_and_idle_or_stuck_sessions_end(
    engine: Engine, images: None, tmp_path: Path
) -> None:
    """One start for all that needs no second one."""
    state = str((tmp_path / "state").resolve())
    left, others = labels("tested", state, "earlier"), labels("tested", state + "2", "other")
    for each in (left, others):
        arguments = [f"--label={key}={value}" for key, value in each.all.items()]
        engine.run("run", "--detach", *arguments, "--entrypoint", "sleep", PLAIN, "1000")
    limits = {"memory": "512M", "idle_timeout": "4s", "launch_timeout": "15s"}
    try:
        async with running(engine, settings(engine, tmp_path, sessions=limits)) as member:
            assert containers(engine, left.of_run) == []
            assert len(containers(engine, others.of_run)) == 1

            with pytest.raises(LaunchFailed, match="took too long to launch"):
                await told_start("docker/never-ready", tmp_path, member.world.hub, HANGING)
            async with asyncio.timeout(30):
                while containers(engine, left.of_state):
                    await asyncio.sleep(0.2)

            ready, token = await member.launch()
            assert await member.status(f"{ready.url}api/status?token={token}") == 200
            async with asyncio.timeout(60):
                while (await member.world.hub.sessions()).get(PLAIN) or containers(engine, left.of_state):
                    await asyncio.sleep(0.5)

            engine.run(
                "network", "rm", left.network
            )  # as `docker system prune` does, which many run from a timer
            again, token = await member.launch()
            assert await member.status(f"{again.url}api/status?token={token}") == 200
        assert containers(engine, left.of_state) == []
        assert left.network not in engine.run("network", "ls", "--format", "{{.Name}}")
        assert len(containers(engine, others.of_run)) == 1
    finally:
        for each in (left, others):
            for container in containers(engine, each.of_state):
                engine.run("rm", "--force", container["Id"])


@pytest.mark.integration
@pytest.mark.docker
async def test_an_engine_that_goes_and_comes_back(engine: Engine, images: None, tmp_path: Path) -> None:
    gate = Gate(engine, tmp_path)
    await gate.open()
    wanted = settings(engine, tmp_path, docker={"host": gate.host})
    async with running(engine, wanted) as member:
        assert await member.world.store.check()
        staying, token = await member.launch()
        leaving, _ = await member.launch()
        await gate.shut()
        assert not await member.world.store.check()
        assert (await member.world.hub.check()).ok
        assert await run(member.http, staying.url, token, "1+1") == "2"
        async with asyncio.timeout(30):  # of a removal's own minute
            with pytest.raises(LaunchFailed, match="The container engine does not answer"):
                await told_start("docker/engine-down", tmp_path, member.world.hub, PLAIN)
        with pytest.raises(LaunchFailed, match="container engine of this member does not answer"):
            assert [line async for line in member.world.store.fetch(PLAIN)]
        removal = asyncio.create_task(leaving.remove())
        await asyncio.sleep(6)  # longer than the hub's look at its sessions
        assert not removal.done()
        await gate.open()
        await removal
        assert await member.world.store.check()
        assert await run(member.http, staying.url, token, "2+2") == "4"
        assert [each["Id"] for each in member.containers()] == [member.container(staying)["Id"]]
        ready, _ = await member.launch()
        await ready.remove()
    await gate.shut()


@asynccontextmanager
async def serving(file: Path, engine: Engine) -> AsyncIterator[asyncio.subprocess.Process]:
    """The member's own command, ready; killed at the end."""
    member = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "members.cli", "serve", "--config", str(file)),
        stdout=asyncio.subprocess.PIPE,
        env={**engine.environment, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert member.stdout is not None
    try:
        async with asyncio.timeout(90):
            while (line := await member.stdout.readline()) and not line.startswith(b"Member ready"):
                pass
        assert line, "the member ended"
        yield member
    finally:
        with suppress(ProcessLookupError):
            os.killpg(member.pid, signal.SIGKILL)
        await member.wait()


@pytest.mark.integration
@pytest.mark.docker
async def test_kill_9_of_a_member_leaves_no_container(
    engine: Engine, notebook_image: str, tmp_path: Path
) -> None:
    """From a repository's Dockerfile to a running session, then the whole process group is killed."""
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "Dockerfile").write_text(f"FROM {notebook_image}\nCOPY --chown=1000 . /home/jovyan\n")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *command], cwd=repository, check=True)
    git = {"protocols": ["file"], "file_roots": [str(tmp_path)]}
    wanted = settings(engine, tmp_path, providers={"git": git})
    file = tmp_path / "member.yaml"
    file.write_text(
        json.dumps(
            wanted.model_dump(mode="json", include={"name", "runtime", "port", "docker"})
            | {
                "state_dir": str(wanted.state_dir),
                "hub": {"port": wanted.hub.port},
                "providers": {"git": git},
            }
        )
    )
    ours = labels("tested", str(wanted.state_dir.resolve()), "")
    build = f"{wanted.url}build/git/{quote(repository.as_uri(), safe='')}/HEAD"
    async with serving(file, engine), aiohttp.ClientSession() as http:
        for name in ("docker/cold-launch", "docker/cached-launch"):
            told(name, without_comments(await _stream(http, build)))
        assert len(containers(engine, ours.of_state)) == 2
        assert _wardens(wanted.docker.host or "")
    async with asyncio.timeout(60):
        while containers(engine, ours.of_state) or _wardens(wanted.docker.host or ""):
            await asyncio.sleep(0.2)
    assert ours.network not in engine.run("network", "ls", "--format", "{{.Name}}")


async def _stream(http: aiohttp.ClientSession, url: str) -> bytes:
    async with asyncio.timeout(120), http.get(url, headers={"Accept": "text/event-stream"}) as reply:
        return await reply.read()


def _wardens(host: str) -> list[int]:
    socket = host.removeprefix("unix://")
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = process.cmdline()
            if any(part.endswith("warden.py") for part in line) and socket in line:
                found.append(process.pid)
    return found
