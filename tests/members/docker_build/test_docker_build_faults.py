"""What is not the repository's fault: engine, registry, git server and disk that fail in real builds."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from contract_member import told_build
from engine_stage import Engine, start_engine
from fault_proxy import fault_proxy
from pytest import MonkeyPatch, mark, raises
from registry_stage import RunningRegistry, start_registry
from repo2docker_workshop import SHA, USUAL, Workshop, built, load_tiny, source

from members.adapters.docker_build import DockerBuilder
from members.core.model import BuildBroken, BuildLine, Resolved

pytestmark = [mark.integration, mark.docker]


async def test_a_registry_that_is_down_is_the_members_fault(workshop: Workshop, tmp_path: Path) -> None:
    registry = start_registry(tmp_path / "registry")
    registry.kill()
    builder = workshop.builder(push=True)
    repository = workshop.dockerfile("echo 1")
    with raises(BuildBroken, match="registry of images did not take it"):
        await told_build(
            "docker/registry-down", workshop.folder, builder, repository, f"{registry.host}/down/before:1"
        )


async def test_a_registry_that_goes_in_mid_push_is_the_members_fault(
    workshop: Workshop, registry: RunningRegistry
) -> None:
    builder = workshop.builder(push=True)
    repository = workshop.dockerfile("head -c 20000000 /dev/urandom > /tmp/data")
    async with fault_proxy("127.0.0.1", registry.port) as proxy:
        proxy.cut_after = 5_000_000
        with raises(BuildBroken, match="registry of images did not take it"):
            await built(builder, repository, f"{proxy.host}/down/during:1")
        assert proxy.sent > 1_000_000
    assert workshop.left_over() == []


class StopsAt:
    """A builder whose engine is stopped in the middle of a step."""

    def __init__(self, builder: DockerBuilder, engine: Engine) -> None:
        self._builder, self._engine = builder, engine
        self.info = builder.info

    async def build(self, source: Resolved, image: str) -> AsyncGenerator[BuildLine, None]:
        async with aclosing(self._builder.build(source, image)) as lines:
            async for line in lines:
                yield line
                if line.message.endswith("RUN sleep 987651\n"):
                    await asyncio.to_thread(self._engine.stop)


async def test_an_engine_stopped_in_mid_build_is_the_members_fault(tmp_path: Path) -> None:
    engine = start_engine()
    try:
        load_tiny(engine)
        workshop = Workshop(engine, tmp_path)
        builder = workshop.builder()
        repository = workshop.dockerfile("sleep 987651")
        with raises(BuildBroken, match="container engine of this member"):
            await told_build(
                "docker/engine-gone", tmp_path, StopsAt(builder, engine), repository, "engine/gone:1"
            )
        assert workshop.left_over() == []
        with raises(BuildBroken, match="does not answer"):
            builder.prepare()
    finally:
        await asyncio.to_thread(engine.stop)


async def test_a_registry_that_takes_nothing_more_is_given_up(
    workshop: Workshop, registry: RunningRegistry
) -> None:
    builder = workshop.builder(push=True, limits=replace(USUAL, silence=15))
    repository = workshop.dockerfile("head -c 20000000 /dev/urandom > /tmp/data")
    async with fault_proxy("127.0.0.1", registry.port) as proxy:
        proxy.stall_after = 2_000_000
        with raises(BuildBroken, match="registry of images took nothing for 15 seconds"):
            await built(builder, repository, f"{proxy.host}/stalled/push:1")
    assert workshop.left_over() == []


@mark.parametrize("scheme", ["git", "http"])
async def test_a_git_server_that_hangs_is_given_up(workshop: Workshop, scheme: str) -> None:
    async with fault_proxy("127.0.0.1", 9) as proxy:
        proxy.silent = True
        builder = workshop.builder(limits=replace(USUAL, silence=2))
        with raises(BuildBroken, match="repository's server sent nothing for 2 seconds"):
            await built(builder, source(f"{scheme}://{proxy.host}/hangs.git", SHA), "hanging/git:1")
        assert workshop.left_over() == []


async def test_a_git_server_that_is_down_is_not_the_repositorys_fault(workshop: Workshop) -> None:
    builder = workshop.builder()
    with raises(BuildBroken, match="repository's server could not be reached"):
        await told_build(
            "docker/git-server-down",
            workshop.folder,
            builder,
            source("http://127.0.0.1:9/down.git", SHA),
            "down/git:1",
        )


async def test_a_full_disk_is_the_members_fault(workshop: Workshop, tmp_path: Path) -> None:
    builds = workshop.state_dir / "builds"
    builder = workshop.builder()
    repository = workshop.repository({"Dockerfile": "FROM scratch", "data": os.urandom(90_000_000)})
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", builds], check=True)
    try:
        with raises(BuildBroken, match="disk of this member is full"):
            await built(builder, repository, "full/disk:1")
        assert workshop.left_over() == []
    finally:
        subprocess.run(["umount", builds], check=True)


async def test_without_buildx_a_member_says_so_at_its_start(
    workshop: Workshop, tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "docker").write_text("#!/bin/sh\necho docker: buildx is not a docker command >&2; exit 1\n")
    (tools / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    with raises(BuildBroken, match="no buildx plugin"):
        workshop.builder()
    (tools / "docker").unlink()
    monkeypatch.setenv("PATH", str(tools))
    with raises(BuildBroken, match="git command was not found"):
        workshop.builder()
    (tools / "git").symlink_to("/usr/bin/git")
    with raises(BuildBroken, match="docker command was not found"):
        workshop.builder()
