"""Asks a Docker engine who it is and what it has, over its socket. Starts nothing and knows no runtime."""

from __future__ import annotations

import asyncio
import base64
import errno
import getpass
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp

DEFAULT_HOST = "unix:///var/run/docker.sock"
_SCHEME = "unix://"
_QUESTION = aiohttp.ClientTimeout(total=5)
_PULL_LIMIT = 120.0  # seconds; an image asked for here is small
_PUSH_LIMIT = 600.0  # seconds; the engine compresses a base image on its way
_NOBODY = base64.urlsafe_b64encode(b"{}").decode()  # the login for a registry that asks for none


class NoEngine(Exception):
    """No engine can be used. The message says which one was looked for, what is wrong and what helps."""


def engine_host(environ: Mapping[str, str]) -> str:
    """Where the engine listens: DOCKER_HOST, else Docker's own default."""
    return environ.get("DOCKER_HOST") or DEFAULT_HOST


async def engine_version(host: str) -> str:
    """The version of the engine that answers there. Raises NoEngine."""
    path = host.removeprefix(_SCHEME)
    if path == host or not path.startswith("/"):
        raise NoEngine(
            f"DOCKER_HOST is {host!r}: expected the socket of an engine on this machine, such as {DEFAULT_HOST}"
        )
    try:
        async with _session(host) as session, session.get("/version") as response:
            answer = json.loads(await response.read())
            return str(answer["Version"])
    except aiohttp.ClientConnectorError as problem:
        raise NoEngine(_refusal(path, problem.os_error)) from problem
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        raise NoEngine(f"the Docker engine at {path} does not answer ({_said(problem)})") from problem
    except (ValueError, KeyError, TypeError) as problem:
        raise NoEngine(f"what answers at {path} is no Docker engine") from problem


async def has_image(host: str, image: str) -> bool:
    """Whether the engine holds an image of this name; False too when it does not answer."""
    try:
        async with (
            _session(host) as session,
            session.get(f"/images/{quote(image, safe='/:')}/json") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def pull(host: str, image: str) -> bool:
    """Has the engine fetch an image; whether it has it then. Takes up to some two minutes."""
    name, _, tag = image.rpartition(":")
    question = {"fromImage": name, "tag": tag}
    try:
        async with (
            asyncio.timeout(_PULL_LIMIT),
            _session(host, total=None) as session,
            session.post("/images/create", params=question) as response,
        ):
            async for _ in response.content:  # the engine pulls as long as its progress is read
                pass
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
    return await has_image(host, image)


async def push(host: str, image: str, repository: str) -> bool:
    """Has the engine bring an image to a registry under the name `repository`; whether it is there then.

    The engine keeps the image's second name no longer than that. Takes up to ten minutes.
    """
    path = f"/images/{quote(repository, safe='/:')}"
    try:
        async with asyncio.timeout(_PUSH_LIMIT), _session(host, total=None) as session:
            named = f"/images/{quote(image, safe='/:')}/tag"
            async with session.post(named, params={"repo": repository, "tag": "latest"}) as response:
                if response.status != 201:
                    return False
            try:
                headers = {"X-Registry-Auth": _NOBODY}
                async with session.post(
                    f"{path}/push", params={"tag": "latest"}, headers=headers
                ) as response:
                    told = [line async for line in response.content]
                    return response.status == 200 and not any(b'"error"' in line for line in told)
            finally:
                await session.delete(f"{path}:latest")
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


@asynccontextmanager
async def _session(host: str, total: float | None = _QUESTION.total) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(host.removeprefix(_SCHEME))
    timeout = aiohttp.ClientTimeout(total=total)
    async with aiohttp.ClientSession("http://engine", connector=connector, timeout=timeout) as session:
        yield session


def _refusal(path: str, problem: OSError) -> str:
    if problem.errno in (errno.EACCES, errno.EPERM):
        user = getpass.getuser()
        return (
            f"{user} may not use the Docker engine's socket {path}:"
            f" `sudo usermod -aG docker {user}` and a new login allow it"
        )
    if problem.errno == errno.ENOENT and shutil.which("dockerd") is None:
        return f"no Docker engine is installed: no socket at {path}, no dockerd among the programs"
    return (
        f"the Docker engine does not run: nothing listens at {path}."
        " `sudo systemctl start docker` or `sudo dockerd` starts it; DOCKER_HOST names another one"
    )


def _said(problem: Exception) -> str:
    return str(problem) or type(problem).__name__
