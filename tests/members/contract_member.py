"""What a real build, pull or start makes a whole member send: the member on a socket, one real port behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from contract_files import told, without_comments
from member_fakes import FakeHub, FakeStore
from member_stage import SPEC, RunningMember, running_member
from yarl import URL

from members.core.model import BuildBroken, BuildFailed, BuildLine, LaunchFailed, Resolved, SessionRequest
from members.core.quota import QuotaExceeded
from members.service.ports import Builder, Hub, ImageStore, Session

ONCE = "sessions: {launch_attempts: 1}\n"


async def sent(member: RunningMember, path: str = SPEC, **headers: str) -> bytes:
    """The stream of one launch, whole."""
    url = URL(f"{member.url}build/{path}", encoded=True)
    wanted = {"Accept": "text/event-stream"} | {
        name.replace("_", "-"): text for name, text in headers.items()
    }
    async with aiohttp.ClientSession() as http, http.get(url, headers=wanted) as answer:
        assert answer.status == 200
        return without_comments(await answer.read())


async def told_build(
    name: str, folder: Path, builder: Builder, source: Resolved, image: str
) -> list[BuildLine]:
    """Every line of a build, whose launch is compared with a contract file. Raises as the build does."""
    heard = _Build(builder, source, image, store := FakeStore())
    async with running_member(folder, store=store, builder=heard) as member:
        told(name, await sent(member))
    if heard.error is not None:
        raise heard.error
    return heard.lines


async def told_pull(name: str, folder: Path, store: ImageStore, image: str) -> list[str]:
    """Every line of a pull, whose launch is compared with a contract file. Raises as the pull does."""
    heard = _Pull(store, image)
    async with running_member(folder, ONCE, store=heard) as member:
        told(name, await sent(member))
    if heard.error is not None:
        raise heard.error
    return heard.lines


async def told_start(name: str, folder: Path, hub: Hub, image: str) -> None:
    """A start of this image on a real hub, whose launch is compared with a contract file. Raises as it does."""
    heard = _Start(hub, image)
    async with running_member(folder, ONCE, store=_Everything(), hub=heard) as member:
        told(name, await sent(member))
    for session in heard.begun:
        await session.remove()
    if heard.error is not None:
        raise heard.error


class _Everything(FakeStore):
    """Holds any image."""

    async def has(self, image: str) -> bool:
        await asyncio.sleep(0)
        return True


class _Build:
    """Builds this source as this image, whatever the launch is of."""

    def __init__(self, builder: Builder, source: Resolved, image: str, store: FakeStore) -> None:
        self._build = lambda: builder.build(source, image)
        self._store = store
        self.lines: list[BuildLine] = []
        self.error: BuildFailed | BuildBroken | None = None

    async def build(self, source: Resolved, image: str) -> AsyncIterator[BuildLine]:
        try:
            async with aclosing(self._build()) as lines:  # type: ignore[type-var]
                async for line in lines:
                    self.lines.append(line)
                    yield line
        except (BuildFailed, BuildBroken) as error:
            self.error = error
            raise
        self._store.images.add(image)

    def info(self) -> dict[str, object]:
        return {"builder": "heard"}


class _Pull:
    """Looks for this image, and brings it here, whatever the launch is of."""

    def __init__(self, store: ImageStore, image: str) -> None:
        self._store, self._image = store, image
        self.lines: list[str] = []
        self.error: BuildBroken | LaunchFailed | None = None

    async def has(self, image: str) -> bool:
        try:
            return await self._store.has(self._image)
        except BuildBroken as error:
            self.error = error
            raise

    async def fetch(self, image: str) -> AsyncIterator[str]:
        try:
            async with aclosing(self._store.fetch(self._image)) as lines:  # type: ignore[type-var]
                async for line in lines:
                    self.lines.append(line)
                    yield line
        except LaunchFailed as error:
            self.error = error
            raise

    async def check(self) -> bool:
        return True


class _Start(FakeHub):
    """Starts this image, whatever the launch is of."""

    def __init__(self, hub: Hub, image: str) -> None:
        super().__init__()
        self._hub, self._image = hub, image
        self.begun: list[Session] = []
        self.error: LaunchFailed | QuotaExceeded | None = None

    def create(self, request: SessionRequest) -> Any:
        session = self._hub.create(replace(request, image=self._image))
        self.begun.append(session)
        return _Session(session, self)


class _Session:
    def __init__(self, session: Session, start: _Start) -> None:
        self._session, self._start = session, start
        self.url = session.url
        self.remove = session.remove

    async def progress(self) -> AsyncIterator[str]:
        try:
            async with aclosing(self._session.progress()) as messages:  # type: ignore[type-var]
                async for message in messages:
                    yield message
        except (LaunchFailed, QuotaExceeded) as error:
            self._start.error = error
            raise
