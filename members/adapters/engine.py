"""The container engine of this machine, over its socket; knows no build, no registry's rules and no hub.

One connection pool for a member. Whatever the engine does not do in time, or at all, is EngineDown.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

import aiodocker
import aiohttp
from aiodocker.exceptions import DockerError

from members.core.enginefit import ALONE
from members.core.model import Credentials
from members.core.pullprogress import PullProgress
from members.core.shelf import BUILT_LABEL, Shelf, Shelved

_NO_ANSWER = 900  # aiodocker's status for an engine that cannot be reached
_REQUEST_LIMIT = aiohttp.ClientTimeout(total=60, sock_connect=5)
_CLEAR_LIMIT = aiohttp.ClientTimeout(total=300, sock_connect=5)
_SILENCE_LIMIT = 300.0  # seconds between two events of a pull
_LINE_EVERY = 1.0  # seconds between two lines about a pull


class EngineDown(Exception):
    """The engine does not answer; the message says what was expected where."""


class EngineRefused(Exception):
    """The engine answered that it could not; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Engine:
    """A client of one engine. Open it in a running event loop with `async with`."""

    def __init__(self, host: str) -> None:
        """`host` is the engine's socket, as unix:///var/run/docker.sock."""
        self.host = host
        self._client: aiodocker.Docker | None = None

    async def __aenter__(self) -> Self:
        self._client = aiodocker.Docker(url=self.host, timeout=_REQUEST_LIMIT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    async def version(self) -> str:
        """Such as 20.10.24."""
        async with self._asking() as client:
            return str((await client.version())["Version"])

    async def told(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """What the engine tells about itself, in its own words: its version, and its abilities."""
        async with self._asking() as client:
            return await client.version(), await client.system.info()

    async def network(self, name: str) -> Mapping[str, Any]:
        """What the engine tells about a network, in its own words."""
        async with self._asking() as client:
            told: Mapping[str, Any] = await (await client.networks.get(name)).show()
        return told

    async def has(self, image: str) -> bool:
        """Whether the image can be started here without a pull."""
        try:
            async with self._asking() as client:
                await client.images.inspect(_path(image))
        except EngineRefused as error:
            if error.status == 404:
                return False
            raise
        return True

    async def pull(self, image: str, credentials: Credentials | None = None) -> AsyncIterator[str]:
        """Pulls and tells about it, at most one line a second. Closing the iterator ends the pull."""
        progress, told, last = PullProgress(), None, -_LINE_EVERY
        auth = None if credentials is None else _auth(credentials)
        async with self._asking() as client:
            events = client.images.pull(image, auth=auth, stream=True)
            while (event := await _next(events)) is not None:
                progress.note(event)
                now = asyncio.get_running_loop().time()
                line = progress.line
                if line is not None and line != told and now - last >= _LINE_EVERY:
                    told, last = line, now
                    yield line

    async def tag(self, image: str, name: str) -> None:
        """Gives an image of this engine one more name."""
        repository, _, tag = name.rpartition(":")
        async with self._asking() as client:
            await client.images.tag(_path(image), repository, tag=tag)

    async def untag(self, image: str) -> None:
        """Takes a name away; the image goes with its last one. Succeeds when there is none."""
        try:
            async with self._asking() as client:
                await client.images.delete(_path(image))
        except EngineRefused as error:
            if error.status != 404:
                raise

    async def shelf(self) -> Shelf:
        """All images that have a name or are used, with what they take."""
        async with self._asking() as client:
            # aiodocker has no method for this; engines before 23 tell of containers and caches too.
            told = await client._query_json("system/df", params={"type": "image"})
        return Shelf(tuple(map(_shelved, told.get("Images") or ())), int(told.get("LayersSize") or 0))

    async def came(self, image: str) -> float:
        """When the image got this name on this engine, in Unix seconds; infinite when it is gone."""
        try:
            async with self._asking() as client:
                found = await client.images.inspect(_path(image))
        except EngineRefused as error:
            if error.status == 404:
                return math.inf
            raise
        named = (found.get("Metadata") or {}).get("LastTagTime") or ""
        return max(map(_unix, (named, found.get("Created") or "")))

    async def clear(self, cache: int | None) -> None:
        """Removes images of builds that lost their name, and all but `cache` bytes of what builds cached."""
        await self._prune("images", {"filters": json.dumps({"label": [BUILT_LABEL]})})
        if cache is not None:  # by the old name of the parameter and by the new one
            await self._prune("build", {"keep-storage": cache, "reserved-space": cache})

    async def remove_containers(self, label: str) -> int:
        """Removes all containers with this label, `key` or `key=value`, running or not. Says how many."""
        async with self._asking() as client:
            found = await client.containers.list(all=True, filters=json.dumps({"label": [label]}))
        gone = await asyncio.gather(*(self._removed(container.id) for container in found))
        return sum(gone)

    async def make_network(self, name: str, labels: Mapping[str, str]) -> bool:
        """Makes a network whose containers do not reach each other; False when the name is taken already."""
        config = {"Name": name, "Driver": "bridge", "CheckDuplicate": True}
        try:
            async with self._asking() as client:
                await client.networks.create({**config, "Options": dict(ALONE), "Labels": dict(labels)})
        except EngineRefused as error:
            if error.status == 409:
                return False
            raise
        return True

    async def remove_networks(self, label: str) -> int:
        """Removes the networks with this label that no container uses. Says how many."""
        async with self._asking() as client:
            found = await client.networks.list(filters={"label": label})
        gone = 0
        for each in found:
            try:
                async with self._asking() as client:
                    network = await client.networks.get(each["Id"])
                    gone += await network.delete()
            except EngineRefused as error:
                if error.status not in (403, 404):  # in use, or gone meanwhile
                    raise
        return gone

    async def _prune(self, what: str, params: dict[str, Any]) -> None:
        try:
            async with self._asking() as client:
                await client._query_json(f"{what}/prune", "POST", params=params, timeout=_CLEAR_LIMIT)
        except EngineRefused as error:
            if error.status != 409:  # somebody else is at it
                raise

    async def _removed(self, container: str) -> bool:
        try:
            async with self._asking() as client:
                await client.containers.container(container).delete(force=True, v=True)
        except EngineRefused as error:
            if error.status not in (404, 409):  # gone, or going
                raise
            return False
        return True

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[aiodocker.Docker]:
        assert self._client is not None, "not opened"
        try:
            yield self._client
        except DockerError as error:
            if error.status == _NO_ANSWER:
                raise self._down(error.message) from error
            raise EngineRefused(error.status, error.message) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._down(str(error) or "no answer in time") from error

    def _down(self, why: str) -> EngineDown:
        return EngineDown(
            f"no container engine answers at {self.host} ({why}); install one (Debian: apt-get install docker.io),"
            f" start it, let this user use its socket, or give its address as docker.host"
        )


async def _next(events: AsyncIterator[dict[str, Any]]) -> dict[str, Any] | None:
    async with asyncio.timeout(_SILENCE_LIMIT):
        return await anext(events, None)


def _shelved(told: Mapping[str, Any]) -> Shelved:
    return Shelved(
        tuple(name for name in told.get("RepoTags") or () if name != "<none>:<none>"),
        max(0, int(told.get("Size") or 0) - max(0, int(told.get("SharedSize") or 0))),
        abs(int(told.get("Containers") or 0)),  # -1 when the engine did not count: then it may be used
        BUILT_LABEL in (told.get("Labels") or {}),
    )


def _unix(text: str) -> float:
    """0 for a time that is none, or from before images were."""
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return 0.0


def _path(image: str) -> str:
    return quote(image, safe="/:@")


def _auth(credentials: Credentials) -> dict[str, str]:
    """As the engine's API wants it; `<token>` is how credential helpers say that it is an identity token."""
    if credentials.username == "<token>":
        return {"identitytoken": credentials.password, "serveraddress": credentials.registry}
    return {"username": credentials.username, "password": credentials.password}
