"""Sessions from launch to removal, with the real hub, proxy, server and kernel, fenced and not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from members.adapters.hub_session import HubSession
from members.core.model import Isolation
from tests.members.hub.conftest import HANGING, Running, children, session_request
from tests.members.hub.kernels import run

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

WHEEL = """
import zipfile
def wheel(name, version, code):
    path = f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", code)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any")
        archive.writestr(f"{about}/RECORD", "")
    return path
"""


def packages(environment: Path) -> list[Path]:
    return sorted(environment.glob("lib/python*/site-packages/*"))


async def test_a_kernel_computes_through_the_proxy(shared: Running, session: tuple[HubSession, str]) -> None:
    ready, token = session
    assert await run(shared.http, ready.url, token, "1+1") == "2"


async def test_pip_installs_for_this_session_alone(
    shared: Running, session: tuple[HubSession, str], environment: Path
) -> None:
    ready, token = session
    before = packages(environment)
    printed = await run(
        shared.http,
        ready.url,
        token,
        WHEEL,
        "new, hiding = wheel('demo', '1.0', 'ANSWER = 42'), wheel('idna', '99.0', '__version__ = 99')",
        "%pip install --quiet --no-index {new}",
        "!pip install --quiet --no-index {hiding}",
        "import demo, idna; print('kernel', demo.ANSWER, idna.__version__)",
        "!python -c 'import demo; print(\"terminal\", demo.ANSWER)'",
        "!pip uninstall --quiet --yes idna",
        "!python -c 'import idna; print(\"image again\", idna.__version__ != 99)'",
    )
    assert "kernel 42 99\n" in printed
    assert "terminal 42" in printed
    assert "image again True" in printed
    assert packages(environment) == before
    other, other_token = await shared.launch()
    printed = await run(shared.http, other.url, other_token, "import demo")
    assert "No module named 'demo'" in printed
    await other.remove()


async def test_sessions_do_not_see_each_other_nor_the_hub(
    shared: Running, session: tuple[HubSession, str]
) -> None:
    """Without bubblewrap only homes are separate, and the member's page says so."""
    ready, token = session
    await run(shared.http, ready.url, token, "open('mine.txt', 'w').write('secret')")
    other, other_token = await shared.launch()
    home, hub = shared.state_dir / "sessions" / ready.name, shared.state_dir / "hub" / "parameters.json"
    printed = await run(
        shared.http,
        other.url,
        other_token,
        f"""
import os
from pathlib import Path
print("own home", sorted(name for name in os.listdir() if name[0] != ".") == ["binder", "index.ipynb"])
print("other home", Path({str(home)!r}).exists())
print("hub token", Path({str(hub)!r}).exists())
lines = [path.read_text() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
print("hub process", any("jupyterhub" in line for line in lines))
""",
    )
    await other.remove()
    assert "own home True" in printed
    seen = shared.isolation is Isolation.NONE
    assert f"other home {seen}" in printed
    assert f"hub token {seen}" in printed
    assert f"hub process {seen}" in printed


async def test_a_removed_session_leaves_nothing(shared: Running) -> None:
    before = {process.pid for process in children(shared)}
    ready, token = await shared.launch()
    await run(
        shared.http,
        ready.url,
        token,
        "import os, subprocess",
        "os.makedirs('locked'); open('locked/file', 'w').close(); os.chmod('locked', 0o500)",
        "subprocess.Popen('setsid sh -c \"setsid sleep 1000 &\"', shell=True).wait()",
    )
    assert (shared.state_dir / "sessions" / ready.name / "home" / "locked").is_dir()
    own = [process for process in children(shared) if process.pid not in before]
    assert any(process.name() == "sleep" for process in own)
    await ready.remove()
    await ready.remove()  # a second time is no error
    _, alive = await asyncio.to_thread(psutil.wait_procs, own, 5)
    assert alive == []
    assert not (shared.state_dir / "sessions" / ready.name).exists()
    status, page = await shared.text(f"{ready.url}lab")
    assert status == 404
    assert "Binder not found" in page
    assert 'href="https://binder.example.org/"' in page


async def test_a_session_can_be_removed_while_it_starts(shared: Running) -> None:
    before = {process.pid for process in children(shared)}
    starting = shared.client.create(session_request(HANGING))
    told = starting.progress()
    assert await anext(told) == "Server requested"
    await asyncio.sleep(0.5)
    await told.aclose()
    assert (await shared.client.sessions())[HANGING] == 1
    own = [process for process in children(shared) if process.pid not in before]
    assert any(process.name() == "sleep" for process in own)
    await starting.remove()
    _, alive = await asyncio.to_thread(psutil.wait_procs, own, 5)
    assert alive == []
    assert HANGING not in await shared.client.sessions()
    assert not (shared.state_dir / "sessions" / starting.name).exists()
