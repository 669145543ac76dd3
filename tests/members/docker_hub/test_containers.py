"""Sessions in containers from launch to removal: what they may, what they see, how they fail."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from contract_member import told_start

from members.core.model import LaunchFailed
from members.service.ports import Session
from tests.members.docker_hub.conftest import (
    BARE,
    BROKEN,
    HANGING,
    MEMORY,
    NO_JUPYTER,
    PLAIN,
    Member,
    session_request,
)
from tests.members.hub.kernels import run

pytestmark = [pytest.mark.integration, pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]


async def test_a_kernel_computes_through_the_proxy(shared: Member, session: tuple[Session, str]) -> None:
    ready, token = session
    assert await run(shared.http, ready.url, token, "1+1") == "2"
    async with shared.http.get(f"{ready.url}?token={token}", allow_redirects=False) as reply:
        assert reply.headers["Location"].startswith(f"/user/{ready.url.split('/')[-2]}/lab")


async def test_a_server_of_another_name_starts_too(shared: Member) -> None:
    ready, token = await shared.launch(BARE)
    assert await shared.status(f"{ready.url}api/status?token={token}") == 200
    await ready.remove()


async def test_the_container_is_as_the_settings_say(shared: Member, session: tuple[Session, str]) -> None:
    found = shared.container(session[0])
    limits = found["HostConfig"]
    assert limits["Memory"] == limits["MemorySwap"] == MEMORY
    assert limits["CpuQuota"] == 1.5 * limits["CpuPeriod"]
    assert limits["PidsLimit"] == 100
    assert limits["CapDrop"] == ["ALL"]
    assert limits["SecurityOpt"] == ["no-new-privileges"]
    assert limits["Init"] is True
    assert limits["Privileged"] is False
    assert limits["PortBindings"] in (None, {})
    [network] = found["NetworkSettings"]["Networks"]
    option = '{{index .Options "com.docker.network.bridge.enable_icc"}}'
    assert shared.engine.run("network", "inspect", network, "--format", option).strip() == "false"
    labels = found["Config"]["Labels"]
    assert labels["binder.member"] == "tested"
    assert len(labels["binder.state"]) == 12


async def test_the_limits_hold(shared: Member, session: tuple[Session, str]) -> None:
    ready, token = session
    printed = await run(
        shared.http,
        ready.url,
        token,
        "import subprocess, sys",
        f"greedy = [sys.executable, '-c', 'bytearray({2 * MEMORY})']",
        "print('greedy', subprocess.run(greedy).returncode)",
        """
many = []
try:
    for _ in range(200):
        many.append(subprocess.Popen(['sleep', '1000']))
except OSError as error:
    print('refused after', len(many) < 100, error.errno)
for one in many:
    one.kill()
    one.wait()
""",
    )
    assert "greedy -9\n" in printed
    assert "refused after True 11\n" in printed


async def test_a_session_has_no_rights_and_knows_nothing_of_the_hub(
    shared: Member, session: tuple[Session, str]
) -> None:
    ready, token = session
    printed = await run(
        shared.http,
        ready.url,
        token,
        "import os, socket",
        "print(*(l for l in open('/proc/self/status') if l.startswith(('Cap', 'NoNewPrivs'))))",
        "print('uid', os.getuid())",
        "print('hub', sorted(name for name in os.environ if 'API' in name or 'OAUTH' in name))",
        "print('repo', os.environ['BINDER_REPO_URL'], os.environ['MEM_LIMIT'])",
        "gateway = [l.split()[2] for l in open('/proc/net/route') if l.split()[1] == '00000000'][0]",
        "gateway = '.'.join(str(int(gateway[i:i + 2], 16)) for i in (6, 4, 2, 0))",
        f"print('reached', socket.socket().connect_ex((gateway, {shared.parameters.hub_port})))",
    )
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{kind}:\t0000000000000000" in printed
    assert "NoNewPrivs:\t1" in printed
    assert "uid 1000\n" in printed
    assert "hub []\n" in printed
    assert f"repo https://example.org/some/repo.git {MEMORY}\n" in printed
    assert "reached 111\n" in printed  # refused: the hub listens to this machine alone


async def test_sessions_do_not_see_each_other(shared: Member, session: tuple[Session, str]) -> None:
    ready, token = session
    await run(shared.http, ready.url, token, "open('mine.txt', 'w').write('secret')")
    other, other_token = await shared.launch()
    printed = await run(
        shared.http,
        other.url,
        other_token,
        "import os; print('mine.txt' in os.listdir(), len([n for n in os.listdir('/proc') if n.isdigit()]) < 20)",
    )
    assert printed == "False True\n"
    assert await shared.status(f"{other.url}api/status?token={token}") == 403
    await other.remove()


async def test_a_removed_session_leaves_nothing(shared: Member) -> None:
    ready, _ = await shared.launch()
    container = shared.container(ready)["Id"]
    await ready.remove()
    await ready.remove()  # a second time is no error
    assert container not in {each["Id"] for each in shared.containers()}
    async with shared.http.get(f"{ready.url}lab") as reply:
        assert reply.status == 404
        assert "Binder not found" in await reply.text()


@pytest.mark.parametrize(
    ("name", "image", "words"),
    [
        (
            "image-without-jupyter",
            NO_JUPYTER,
            r"ended while starting \(status 127\)\. This image has no Jupyter: none of jupyter-notebook",
        ),
        ("entrypoint-fails", BROKEN, r"ended while starting \(status 3\)\. the data is missing"),
        ("image-missing", "binder-test/nowhere:1", r"Image binder-test/nowhere:1 is not on this member"),
    ],
    ids=["no jupyter", "broken", "missing"],
)
async def test_an_image_that_cannot_start_fails_at_once(
    shared: Member, tmp_path: Path, name: str, image: str, words: str
) -> None:
    before = {each["Id"] for each in shared.containers()}
    async with asyncio.timeout(60):  # of a launch's own five minutes
        with pytest.raises(LaunchFailed, match=words):
            await told_start(f"docker/{name}", tmp_path, shared.world.hub, image)
    assert {each["Id"] for each in shared.containers()} == before


async def test_a_session_can_be_removed_at_any_moment_of_its_start(shared: Member) -> None:
    before = {each["Id"] for each in shared.containers()}
    moments = [0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8]
    images = [HANGING if number % 2 else PLAIN for number in range(len(moments))]

    async def cut_short(image: str, moment: float) -> None:
        starting = shared.world.hub.create(session_request(image))
        told = starting.progress()
        await anext(told)
        await asyncio.sleep(moment)
        await told.aclose()  # type: ignore[attr-defined]
        await starting.remove()

    await asyncio.gather(*map(cut_short, images, moments))
    assert {each["Id"] for each in shared.containers()} == before
    assert HANGING not in await shared.world.hub.sessions()


async def test_a_container_killed_from_outside_is_noticed_before_the_next_look(shared: Member) -> None:
    """JupyterHub looks every half minute; the engine tells at once."""
    ready, token = await shared.launch()
    container = shared.container(ready)["Id"]
    shared.engine.run("kill", container)
    async with asyncio.timeout(10):
        while await shared.status(f"{ready.url}api/status?token={token}") != 404:
            await asyncio.sleep(0.2)
        while container in {each["Id"] for each in shared.containers()}:
            await asyncio.sleep(0.2)
