"""The hub's life: what it needs to start, what remains of it however it ends (nothing)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import psutil
import pytest

from members.adapters.hub_process import HubFailed, HubProcess
from members.core.model import Isolation
from tests.members.hub.conftest import (
    IMAGE,
    Running,
    children,
    client_of,
    command,
    fence,
    hub_options,
    running,
    session_request,
)
from tests.members.hub.kernels import run

ROOT = Path(__file__).parents[3]
# A member in small: starts a hub, tells where it is, and waits.
MEMBER = """
import asyncio, json, sys
from pathlib import Path
from members.adapters.hub_parameters import ProcessSessions
from members.adapters.hub_process import HubProcess
from members.core.model import Isolation

async def main():
    options = json.loads(sys.stdin.readline())
    isolation = Isolation(options.pop("isolation"))
    options.update(state_dir=Path(options["state_dir"]), sessions=ProcessSessions(isolation=isolation, memory=None))
    hub = HubProcess(**options)
    await hub.start()
    print(json.dumps({"api_url": hub.api_url, "api_token": hub.api_token, "pid": hub.pid}), flush=True)
    await hub.wait()

asyncio.run(main())
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("killed", "isolation"),
    [("the member", Isolation.NONE), ("its process group", Isolation.BUBBLEWRAP)],
    ids=lambda value: str(value),
)
async def test_kill_9_of_a_member_leaves_nothing(
    killed: str, isolation: Isolation, state_dir: Path, proxy_command: list[str]
) -> None:
    options = hub_options(state_dir, fence(isolation), proxy_command)
    member = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MEMBER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert member.stdin is not None
    assert member.stdout is not None
    try:
        member.stdin.write(
            json.dumps({**options, "sessions": None, "isolation": fence(isolation)}, default=str).encode()
            + b"\n"
        )
        async with asyncio.timeout(60):
            hub = json.loads(await member.stdout.readline())
        async with aiohttp.ClientSession() as http:
            client = client_of(http, hub["api_url"], hub["api_token"], str(options["public_url"]))
            wanted = session_request()
            ready = client.create(wanted)
            assert "Server requested" in [message async for message in ready.progress()]
            daemon = "import subprocess; subprocess.Popen('setsid sleep 1000 &', shell=True).wait()"
            await run(http, ready.url, wanted.token, daemon)
        everyone = psutil.Process(member.pid).children(recursive=True)
        assert hub["pid"] in {process.pid for process in everyone}
        assert "sleep" in {process.name() for process in everyone}
    finally:
        with suppress(ProcessLookupError):
            if killed == "the member":
                member.kill()
            else:
                os.killpg(member.pid, signal.SIGKILL)
        await member.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, everyone, 15)
    assert alive == []

    # The next run on the same folder starts afresh, with nothing of the killed one's.
    assert (state_dir / "sessions" / ready.name).exists()
    async with running(options) as fresh:
        assert await fresh.client.sessions() == {}
        assert list((state_dir / "sessions").iterdir()) == []


@pytest.mark.integration
async def test_kill_9_of_the_hub_is_noticed_and_leaves_no_process(
    state_dir: Path, proxy_command: list[str]
) -> None:
    async with running(hub_options(state_dir, Isolation.NONE, proxy_command)) as hub:
        await hub.launch()
        below = children(hub)
        assert len(below) >= 4  # proxy, culler, reaper, server
        os.kill(hub.hub.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            assert await hub.hub.wait() == -signal.SIGKILL
        _, alive = await asyncio.to_thread(psutil.wait_procs, below, 15)
        assert alive == []
        assert (await hub.client.check()).ok is False
        await hub.hub.stop()
        assert not (state_dir / "sessions").exists()


def proxies(hub: Running) -> list[psutil.Process]:
    return [
        each for each in children(hub) if "--error-target" in command(each) and "leash" not in command(each)
    ]


@pytest.mark.integration
async def test_life_of_a_hub_under_a_path(state_dir: Path, proxy_command: list[str]) -> None:
    """One start for all that needs no second one: prefix, idle culling, proxy restart, lock, clean end."""
    options = hub_options(state_dir, fence(Isolation.BUBBLEWRAP), proxy_command)
    options |= {"public_url": f"{options['public_url']}at/hub/", "idle_timeout": 4.0}
    async with running(options) as hub:
        with pytest.raises(HubFailed, match="another member runs on"):
            await HubProcess(**{**options, "port": 1}).start()  # type: ignore[arg-type]

        health = f"{hub.url}hub/api/health"
        for _ in range(2):
            [proxy] = proxies(hub)
            proxy.kill()
            async with asyncio.timeout(15):
                while not proxies(hub) or await _status(hub.http, health) != 200:
                    await asyncio.sleep(0.1)
        ready, token = await hub.launch()
        assert ready.url.startswith(str(options["public_url"]) + "user/")
        async with asyncio.timeout(20):
            while await _status(hub.http, f"{ready.url}api/status?token={token}") != 200:
                await asyncio.sleep(0.1)

        async with asyncio.timeout(40):
            while (await hub.client.sessions()).get(IMAGE):
                await asyncio.sleep(0.5)
        async with asyncio.timeout(20):  # the hub forgets the server a moment before its files are gone
            while list((state_dir / "sessions").iterdir()):
                await asyncio.sleep(0.1)

        await hub.launch()
        everyone = [psutil.Process(hub.hub.pid), *children(hub)]
        await hub.hub.stop()
        _, alive = await asyncio.to_thread(psutil.wait_procs, everyone, 5)
        assert alive == []
        assert sorted(path.name for path in (state_dir / "hub").iterdir()) == ["hub.log", "lock"]
        assert hub.hub.log_file.read_text().count("Starting proxy @") == 3  # none while it was stopping
        assert not (state_dir / "sessions").exists()


async def _status(http: aiohttp.ClientSession, url: str) -> int:
    try:
        async with http.get(url) as reply:
            return reply.status
    except aiohttp.ClientError:
        return 0


async def test_a_taken_port_is_told_by_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("members.adapters.hub_process._DYING", 0.3)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    options = hub_options(tmp_path, Isolation.NONE, ["false"])
    options["port"] = port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(HubFailed, match=rf"hub\.port: 127\.0\.0\.1 port {port} cannot be used"):
            await HubProcess(**options).start()  # type: ignore[arg-type]


@pytest.mark.integration
async def test_a_hub_that_cannot_start_says_why(tmp_path: Path) -> None:
    hub = HubProcess(**hub_options(tmp_path, Isolation.NONE, ["false"]))  # type: ignore[arg-type]
    with pytest.raises(HubFailed, match=r"ended while starting[\s\S]*Proxy failed to start"):
        await hub.start()
    await hub.stop()


@pytest.mark.integration
async def test_a_hub_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    options = hub_options(tmp_path, Isolation.NONE, ["sleep", "1000"]) | {
        "start_limit": 2.0,
        "stop_limit": 1.0,
    }
    hub = HubProcess(**options)  # type: ignore[arg-type]
    with pytest.raises(HubFailed, match="not ready after 2 s"):
        await hub.start()
    assert not psutil.pid_exists(hub.pid)
