"""What `up` finds out about Docker, from small servers on sockets that answer like an engine."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_stand_in import engine, programs, served
from pytest_aiohttp.plugin import AiohttpServer

from federation.local.engine import DEFAULT_HOST, NoEngine, engine_host, engine_version, has_image, pull
from federation.local.equipment import (
    STOCK_BASE,
    VENV_BASE,
    Base,
    Docker,
    DockerMissing,
    find_docker,
)
from federation.local.runtime import RuntimeMissing, choose_runtime

NOWHERE = ("http://127.0.0.1:1/",)


@pytest.fixture
async def reachable(aiohttp_server: AiohttpServer) -> AsyncIterator[str]:
    """An address where a server answers, though not with what one would like."""
    server = await aiohttp_server(web.Application())
    yield str(server.make_url("/v2/"))


def test_the_engine_is_where_the_environment_says() -> None:
    assert engine_host({"DOCKER_HOST": "unix:///run/mine.sock"}) == "unix:///run/mine.sock"
    assert engine_host({}) == engine_host({"DOCKER_HOST": ""}) == DEFAULT_HOST


async def test_an_engine_tells_its_version_and_its_images(tmp_path: Path) -> None:
    async with engine(tmp_path, images=["127.0.0.1:5000/a/b:1"], pullable=["registry:2"]) as host:
        assert await engine_version(host) == "20.10.24"
        assert await has_image(host, "127.0.0.1:5000/a/b:1")
        assert not await has_image(host, "registry:2")
        assert await pull(host, "registry:2")
        assert await has_image(host, "registry:2")
        assert not await pull(host, "registry:3")
    assert not await has_image(host, "registry:2")


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:2375", "unix://relative.sock", "/var/run/docker.sock"])
async def test_an_engine_elsewhere_is_refused_by_the_variables_name(host: str) -> None:
    with pytest.raises(NoEngine, match=f"DOCKER_HOST is '{host}': expected the socket"):
        await engine_version(host)


async def test_no_engine_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin"))
    with pytest.raises(NoEngine, match=f"no Docker engine is installed: no socket at {tmp_path}/engine.sock"):
        await engine_version(f"unix://{tmp_path}/engine.sock")


async def test_an_engine_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", dockerd="exit 0"))
    with pytest.raises(NoEngine, match=r"does not run: nothing listens at .*systemctl start docker"):
        await engine_version(f"unix://{tmp_path}/engine.sock")
    with socket.socket(socket.AF_UNIX) as left:  # what an engine that was killed leaves behind
        left.bind(str(tmp_path / "engine.sock"))
    with pytest.raises(NoEngine, match="does not run"):
        await engine_version(f"unix://{tmp_path}/engine.sock")


async def test_a_socket_without_permission(tmp_path: Path) -> None:
    async with engine(tmp_path) as host:
        (tmp_path / "engine.sock").chmod(0)
        root = os.geteuid() == 0  # whom the kernel lets pass
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(NoEngine, match=r"may not use .*engine\.sock: `sudo usermod -aG docker"):
                await engine_version(host)
        finally:
            if root:
                os.seteuid(0)


async def test_another_server_on_the_socket_is_no_engine(tmp_path: Path) -> None:
    async with served(web.Application(), tmp_path) as host:
        with pytest.raises(NoEngine, match="is no Docker engine"):
            await engine_version(host)


def machine(tmp_path: Path, host: str, **scripts: str) -> Mapping[str, str]:
    return {"DOCKER_HOST": host, "PATH": programs(tmp_path / "bin", **scripts)}


async def find(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    scripts: Mapping[str, str],
    sources: tuple[str, ...] = NOWHERE,
    member: Mapping[str, Any] = {},
) -> Docker:
    environ = machine(tmp_path, host, **scripts)
    monkeypatch.setenv("PATH", environ["PATH"])
    return await find_docker(environ, member, sources)


ALL = {"docker": "exit 0", "docker_registry": "exit 0"}


async def test_everything_there_without_the_internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine(tmp_path, images=[VENV_BASE]) as host:
        found = await find(tmp_path, monkeypatch, host, ALL)
    assert found == Docker(host, "20.10.24", None, Base("venv", VENV_BASE))


async def test_repo2dockers_own_buildpacks_come_first_where_they_can_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reachable: str
) -> None:
    async with engine(tmp_path, images=[VENV_BASE]) as host:
        found = await find(tmp_path, monkeypatch, host, ALL, (reachable, reachable))
        assert found.base == Base("stock", None)
        found = await find(tmp_path, monkeypatch, host, ALL, (reachable, *NOWHERE))
        assert found.base == Base("venv", VENV_BASE)
    (tmp_path / "other").mkdir()
    async with engine(tmp_path / "other", images=[VENV_BASE, STOCK_BASE]) as host:
        found = await find(tmp_path, monkeypatch, host, ALL, (*NOWHERE, reachable))
        assert found.base == Base("stock", None)


async def test_what_the_operator_chose_to_build_on_is_not_questioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = {"build": {"buildpacks": "venv", "base_image": "mine:1"}}
    async with engine(tmp_path) as host:
        found = await find(tmp_path, monkeypatch, host, ALL, member=member)
    assert found.base == Base("venv", "mine:1")


async def test_a_registry_image_stands_in_for_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = {"docker": "exit 0"}
    async with engine(tmp_path, images=[VENV_BASE], pullable=["registry:2"]) as host:
        assert (await find(tmp_path, monkeypatch, host, scripts)).registry_image == "registry:2"
    (tmp_path / "other").mkdir()
    async with engine(tmp_path / "other", images=[VENV_BASE, "registry:3"]) as host:
        assert (await find(tmp_path, monkeypatch, host, scripts)).registry_image == "registry:3"


async def test_everything_that_is_missing_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine(tmp_path) as host:
        with pytest.raises(DockerMissing) as missing:
            await find(tmp_path, monkeypatch, host, {"docker": "exit 1"})
    buildx, registry, base = missing.value.problems
    assert "no buildx plugin" in buildx
    assert "no docker-registry among the programs" in registry and "registry:2" in registry
    assert VENV_BASE in base


async def test_without_the_docker_command_nothing_can_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine(tmp_path, images=[VENV_BASE]) as host:
        with pytest.raises(DockerMissing, match="the docker command is not installed"):
            await find(tmp_path, monkeypatch, host, {"docker_registry": "exit 0"})


async def no_docker() -> Docker:
    raise DockerMissing(["no engine", "no registry"])


async def all_of_docker() -> Docker:
    return Docker("unix:///run/docker.sock", "20.10.24", None, Base("venv", VENV_BASE))


async def never_asked() -> Docker:
    raise AssertionError("nobody asked for Docker")


async def test_auto_takes_docker_where_it_can_and_says_why_not() -> None:
    found = await choose_runtime("auto", all_of_docker)
    assert found.docker is not None
    assert found.why == (
        f"docker 20.10.24 at unix:///run/docker.sock, Debian's registry, venv buildpacks on {VENV_BASE}"
    )
    found = await choose_runtime("auto", no_docker)
    assert found.docker is None
    assert found.why == "process, since no engine"


async def test_docker_asked_for_by_name_is_docker_or_a_refusal_with_everything_missing() -> None:
    assert (await choose_runtime("docker", all_of_docker)).docker is not None
    with pytest.raises(RuntimeMissing) as refusal:
        await choose_runtime("docker", no_docker)
    assert "- no engine\n- no registry\n" in str(refusal.value)
    assert "make docker-tools" in str(refusal.value)


async def test_process_asked_for_by_name_asks_no_engine() -> None:
    assert (await choose_runtime("process", never_asked)).docker is None
