"""`up --runtime docker` with a real registry, and stand-ins for the engine, the members and the front door."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml
from engine_stand_in import engine
from up_stage import Run, until

from federation.local.equipment import VENV_BASE

pytestmark = pytest.mark.integration


@pytest.fixture
async def docker(run: Run, tmp_path: Path) -> AsyncIterator[Run]:
    """An `up` that finds an engine, buildx, a registry and the local base image."""
    assert shutil.which("docker-registry"), (
        "these tests need Debian's registry: apt-get install docker-registry"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "docker").chmod(0o755)
    run.runtime = "docker"
    async with engine(tmp_path, images=[VENV_BASE]) as host:
        run.env = {"DOCKER_HOST": host, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
        yield run


async def started(run: Run) -> dict[str, Any]:
    run.start()
    return await asyncio.to_thread(run.ready)


async def ended(run: Run, number: signal.Signals = signal.SIGTERM) -> int:
    return await asyncio.to_thread(run.end, number)


def status(url: str, method: str = "GET") -> int:
    try:
        with urlopen(Request(url, method=method)) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


def registry_pid(run: Run) -> int:
    return int(json.loads((run.state / "run" / "registry.json").read_text())["pid"])


async def test_a_registry_runs_for_all_members_and_ends_with_them(docker: Run) -> None:
    found = await started(docker)
    assert status(f"{found['registry']}/v2/") == 200
    host = found["registry"].removeprefix("http://")
    for name in ("member-a", "member-b"):
        member = yaml.safe_load((docker.state / f"{name}.yaml").read_text())
        assert member["runtime"] == "docker"
        assert member["registry"] == {"url": found["registry"]}
        assert member["image_prefix"] == f"{host}/binder-"
        assert member["build"] == {"buildpacks": "venv", "base_image": VENV_BASE}
        assert member["docker"] == {"host": docker.env["DOCKER_HOST"]}
    until(lambda: "Isolation: containers" in docker.output)
    assert "Runtime: docker 20.10.24" in docker.output
    assert await ended(docker) == 0
    assert docker.leftovers() == []
    assert status(f"{found['registry']}/v2/") == 0


async def test_images_may_be_deleted_and_what_was_pushed_stays_for_the_next_start(docker: Run) -> None:
    found = await started(docker)
    url = f"{found['registry']}/v2/binder-kept/blobs"
    digest = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of "foo"
    with urlopen(Request(f"{url}/uploads/", method="POST")) as response:
        place = response.headers["Location"]
    kind = {"Content-Type": "application/octet-stream"}
    urlopen(Request(f"{place}&digest={digest}", b"foo", kind, method="PUT")).close()
    assert await ended(docker) == 0
    again = await started(docker)
    assert again["registry"] == found["registry"]
    with urlopen(f"{url}/{digest}") as response:
        assert response.read() == b"foo"
    assert status(f"{url}/{digest}", method="DELETE") == 202


async def test_a_registry_that_dies_is_started_again_on_its_port(docker: Run) -> None:
    found = await started(docker)
    before = registry_pid(docker)
    os.kill(before, signal.SIGKILL)
    until(lambda: "registry was started again" in docker.output)
    until(lambda: status(f"{found['registry']}/v2/") == 200)
    assert registry_pid(docker) != before


async def test_after_kill_9_the_registry_ends_by_itself_and_the_next_one_has_its_port(docker: Run) -> None:
    found = await started(docker)
    assert await ended(docker, signal.SIGKILL) == -9
    until(lambda: status(f"{found['registry']}/v2/") == 0)
    until(lambda: docker.leftovers() == [])
    docker.ready_file.unlink()
    assert (await started(docker))["registry"] == found["registry"]


async def test_a_taken_registry_port_is_told_and_another_one_used(docker: Run) -> None:
    found = await started(docker)
    assert await ended(docker) == 0
    port = int(found["registry"].rpartition(":")[2])
    other = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
    async with other:
        again = await started(docker)
    assert again["registry"] != found["registry"]
    assert f"the registry's port {port} is taken" in docker.output
    assert await ended(docker) == 0
    assert (await started(docker))["registry"] == again["registry"]


@pytest.mark.parametrize("name", ["registry.yaml", "build-secret", "member-b.yaml"])
async def test_what_may_hold_secrets_is_the_users_alone(docker: Run, name: str) -> None:
    await started(docker)
    assert (docker.state / name).stat().st_mode & 0o777 == 0o600


async def test_all_members_sign_with_one_secret_that_stays(docker: Run) -> None:
    def secrets() -> set[str]:
        files = [docker.state / f"{name}.yaml" for name in ("member-a", "member-b")]
        return {yaml.safe_load(file.read_text())["build_tokens"]["secret"] for file in files}

    await started(docker)
    first = secrets()
    assert len(first) == 1
    assert await ended(docker) == 0
    await started(docker)
    assert secrets() == first


async def test_nothing_starts_when_something_is_missing(docker: Run) -> None:
    docker.env["DOCKER_HOST"] += ".not"
    docker.start()
    assert docker.process is not None
    assert await asyncio.to_thread(docker.process.wait, 30) == 1
    assert "members cannot run on Docker here" in docker.output
    assert "make docker-tools" in docker.output
    assert "Starting" not in docker.output


async def test_auto_without_an_engine_is_the_process_runtime_and_says_so(docker: Run) -> None:
    docker.env["DOCKER_HOST"] += ".not"
    docker.runtime = "auto"
    found = await started(docker)
    assert Path(found["registry"]).is_dir()
    assert "Runtime: process, since the Docker engine does not run" in docker.output or (
        "Runtime: process, since no Docker engine is installed" in docker.output
    )
