"""Finds out whether this machine has what members on Docker need. Starts nothing and decides no runtime."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from federation.local.engine import NoEngine, engine_host, engine_version, has_image, pull

# Made by `make base-image`; what repositories are built on where repo2docker's own base is out of reach.
VENV_BASE = "binder-base:venv"
# repo2docker's own base, and where it and what its buildpacks install come from.
STOCK_BASE = "buildpack-deps:24.04"
STOCK_SOURCES = ("https://registry-1.docker.io/v2/", "https://conda.anaconda.org/")
REGISTRY_PROGRAM = "docker-registry"
REGISTRY_IMAGES = ("registry:2", "registry:3")

_BUILDX = ("docker", "buildx", "version")
_QUESTION = 10.0  # seconds for a program that only tells its version
_REACH = aiohttp.ClientTimeout(total=3)


@dataclass(frozen=True, slots=True)
class Base:
    """What builds stand on: the `build.buildpacks` and `build.base_image` of config/member.yaml."""

    buildpacks: str
    image: str | None


@dataclass(frozen=True, slots=True)
class Docker:
    """Everything that members on Docker need, found here.

    `registry_image` is what the registry runs from; None: Debian's own program.
    """

    host: str
    version: str
    registry_image: str | None
    base: Base


class DockerMissing(Exception):
    """Members on Docker cannot run here. `problems` has one line for each thing that is missing."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


async def find_docker(
    environ: Mapping[str, str], member: Mapping[str, Any], sources: Sequence[str] = STOCK_SOURCES
) -> Docker:
    """What there is. `member` holds the operator's own keys of config/member.yaml, which come first.

    Raises DockerMissing with everything that is not there; without an engine nothing else is looked for.
    """
    host = engine_host(environ)
    try:
        version = await engine_version(host)
    except NoEngine as problem:
        raise DockerMissing([str(problem)]) from problem
    buildx, registry, base = await asyncio.gather(
        _buildx(environ), _registry(host), _base(host, member, sources)
    )
    problems = [found for found in (buildx, registry, base) if isinstance(found, _Lack)]
    if problems or isinstance(registry, _Lack) or isinstance(base, _Lack):
        raise DockerMissing([problem.text for problem in problems])
    return Docker(host, version, registry.image, base)


@dataclass(frozen=True, slots=True)
class _Lack:
    text: str


@dataclass(frozen=True, slots=True)
class _Registry:
    image: str | None


async def _buildx(environ: Mapping[str, str]) -> _Lack | None:
    """repo2docker builds by way of docker's buildx plugin alone."""
    if shutil.which(_BUILDX[0], path=environ.get("PATH", os.defpath)) is None:
        return _Lack("the docker command is not installed; builds are made with it")
    process = await asyncio.create_subprocess_exec(
        *_BUILDX,
        env=dict(environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if await asyncio.wait_for(process.wait(), _QUESTION) == 0:
            return None
    except TimeoutError:
        process.kill()
        await process.wait()
    return _Lack("docker has no buildx plugin, neither its own nor in DOCKER_CONFIG's cli-plugins")


async def _registry(host: str) -> _Registry | _Lack:
    if shutil.which(REGISTRY_PROGRAM) is not None:
        return _Registry(None)
    for image in REGISTRY_IMAGES:
        if await has_image(host, image):
            return _Registry(image)
    if await pull(host, REGISTRY_IMAGES[0]):
        return _Registry(REGISTRY_IMAGES[0])
    return _Lack(
        f"there is no registry: no {REGISTRY_PROGRAM} among the programs, and the engine cannot pull"
        f" {REGISTRY_IMAGES[0]}"
    )


async def _base(host: str, member: Mapping[str, Any], sources: Sequence[str]) -> Base | _Lack:
    """repo2docker's own buildpacks where they can work, ours where the local base image is all there is."""
    build = member.get("build")
    chosen = build if isinstance(build, Mapping) else {}
    if "buildpacks" in chosen or "base_image" in chosen:
        return Base(str(chosen.get("buildpacks", "stock")), chosen.get("base_image"))
    *reached, stock_here, venv_here = await asyncio.gather(
        *(_reached(source) for source in sources), has_image(host, STOCK_BASE), has_image(host, VENV_BASE)
    )
    docker_hub, *others = reached
    if (stock_here or docker_hub) and all(others):
        return Base("stock", None)
    if venv_here:
        return Base("venv", VENV_BASE)
    return _Lack(
        f"there is nothing to build on: the engine has no image {VENV_BASE} (`make base-image` makes it),"
        " and Docker Hub and conda's hosts, where repo2docker's own base comes from, are out of reach"
    )


async def _reached(url: str) -> bool:
    """Whether a server answers there, whatever it says."""
    try:
        async with aiohttp.ClientSession(timeout=_REACH, trust_env=True) as session, session.get(url):
            return True
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
