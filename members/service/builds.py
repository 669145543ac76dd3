"""Builds, one at a time for each image, watched by any number of launches. Knows no builder's ways.

A build belongs to the member, not to the visitor who started it: it goes on when its watchers leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from members.core.buildlog import BuildLog
from members.core.facts import BuildEnded, BuildStarted, BuildStatus, Tell, Trouble
from members.core.model import BuildBroken, BuildFailed, BuildLine, Resolved
from members.service.places import Places
from members.service.ports import Builder, ImageStore
from members.service.streams import closing

_CLOSING = "This member is shutting down and has ended the build. Please try again."


Fault = BuildFailed | BuildBroken


class _Build:
    """One build: its log so far, and how it ended."""

    def __init__(self, source: Resolved, image: str, log_limit: int) -> None:
        self.source = source
        self.image = image
        self.log = BuildLog(log_limit)
        self.watchers = 0
        self.started = False
        self.ended = False
        self.error: Fault | None = None
        self.task: asyncio.Task[Fault | None] | None = None
        self._news = asyncio.Event()

    @property
    def news(self) -> asyncio.Event:
        """Set at the next line or the end. Take it before reading the log, or the next line may be missed."""
        return self._news

    def tell(self, line: BuildLine) -> None:
        self.log.append(line)
        self._wake()

    def end(self, error: Fault | None) -> None:
        self.ended, self.error = True, error
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Builds:
    """All builds of this member. `close` ends them; nothing is left running after it."""

    def __init__(
        self,
        builder: Builder,
        store: ImageStore,
        tell: Tell,
        *,
        concurrent: int,
        timeout: float,
        log_limit: int,
    ) -> None:
        """`concurrent` builds run at once, each for at most `timeout` s; `log_limit` bytes of log stay.

        `timeout` ends a builder that does not keep to its own limit, which can say more of who was slow.
        """
        self._builder = builder
        self._store = store
        self._tell = tell
        self._places = Places(concurrent)
        self._timeout = timeout
        self._log_limit = log_limit
        self._builds: dict[str, _Build] = {}
        self._tasks: set[asyncio.Task[Fault | None]] = set()
        self._closed = False

    @property
    def running(self) -> int:
        """Builds that have a place; those that wait for one do not count."""
        return sum(build.started for build in self._builds.values())

    async def watch(self, source: Resolved, image: str) -> AsyncIterator[BuildLine]:
        """The whole log of the build of `image`, which begins now if none runs; ends when it is stored.

        Raises BuildFailed or BuildBroken as the build did. A build that still waits for a place when its last
        watcher leaves is given up: nobody can then fill the queue with builds that nobody wants.
        """
        build = self._builds.get(image) or self._begin(source, image)
        build.watchers += 1
        try:
            position = 0
            while True:
                news = build.news
                lines, position = build.log.since(position)
                for line in lines:
                    yield line
                if lines:
                    continue
                if build.ended:
                    break
                await news.wait()
        finally:
            build.watchers -= 1
            if build.watchers == 0 and not build.started:
                self._give_up(build)
        if build.error is not None:
            raise type(build.error)(str(build.error))

    async def close(self) -> None:
        """Ends every build and waits until its processes are gone."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, source: Resolved, image: str) -> _Build:
        if self._closed:
            raise BuildBroken(_CLOSING)
        build = _Build(source, image, self._log_limit)
        build.task = asyncio.create_task(self._run(build), name=f"build {image}")
        build.task.add_done_callback(lambda task: self._end(build, task))
        self._tasks.add(build.task)
        self._builds[image] = build
        return build

    def _end(self, build: _Build, task: asyncio.Task[Fault | None]) -> None:
        """Whatever ended the task, even before its first step, the watchers learn of it."""
        self._tasks.discard(task)
        if self._builds.get(build.image) is build:
            del self._builds[build.image]
        build.end(BuildBroken(_CLOSING) if task.cancelled() else task.result())

    def _give_up(self, build: _Build) -> None:
        if self._builds.get(build.image) is build:
            del self._builds[build.image]
        if build.task is not None:
            build.task.cancel()

    async def _run(self, build: _Build) -> Fault | None:
        """Waits for a place and builds. Returns what went wrong; None when the image is stored."""

        def moved(number: int) -> None:
            build.tell(BuildLine(f"Waiting for a place to build: number {number} in the queue.\n", "waiting"))

        async with self._places.taken(moved):
            build.started = True
            try:
                # Another member, or the build before this one, may have stored it in the meantime.
                if not await self._store.has(build.image):
                    await self._told(build)
            except (BuildFailed, BuildBroken) as error:
                return error
            except Exception as error:
                # The task has no caller to raise to: watchers get a plain sentence, the log the whole error.
                self._tell(Trouble(f"build of {build.image}", error))
                return BuildBroken("The build stopped on an error inside this member.")
            return None

    async def _told(self, build: _Build) -> None:
        """Builds, and tells the listeners of beginning and end."""
        started = _now()
        about = (build.source.provider, build.source.repo_url, build.image)
        status: BuildStatus = "cancelled"
        cause, ours = "", False
        self._tell(BuildStarted(*about))
        try:
            await self._follow(build)
            status = "success"
        except Exception as error:
            status, cause, ours = "failure", str(error), not isinstance(error, BuildFailed)
            raise
        finally:
            self._tell(BuildEnded(*about, status, _now() - started, cause=cause, ours=ours))

    async def _follow(self, build: _Build) -> None:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit, closing(self._builder.build(build.source, build.image)) as lines:
                async for line in lines:
                    build.tell(line)
        except TimeoutError as error:
            if not limit.expired():
                raise
            minutes = self._timeout / 60
            raise BuildFailed(f"The build took longer than {minutes:.3g} minutes and was ended.") from error


def _now() -> float:
    return asyncio.get_running_loop().time()
