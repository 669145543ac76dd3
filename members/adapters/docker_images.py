"""The images of a docker member: in the common registry, and pulled to its engine before a start (`ImageStore`).

Composes registry and engine; knows neither's ways. Without a registry the engine itself is the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from members.adapters.engine import Engine, EngineDown, EngineRefused
from members.adapters.registry import Registry
from members.core.facts import Note, Tell
from members.core.model import BuildBroken, LaunchFailed, RegistryDown

_PULL_LIMIT = 3600.0  # seconds; an engine that hears a byte now and then would otherwise wait for ever
_ENGINE_DOWN = "The container engine of this member does not answer. Please try again soon."
_ENDED = "This member is shutting down and has ended the pull. Please try again."


class _Pull:
    """One pull of one image: what was told so far, for all who wait for it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.error: LaunchFailed | None = None
        self.ended = False
        self.task: asyncio.Task[None] | None = None
        self.news = asyncio.Event()

    def tell(self, line: str) -> None:
        self.lines.append(line)
        self._wake()

    def end(self, error: LaunchFailed | None) -> None:
        self.error, self.ended = error, True
        self._wake()

    def _wake(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()


class DockerImages:
    """Port `ImageStore`. `close` ends the pulls under way."""

    def __init__(
        self, engine: Engine, registry: Registry | None, tell: Tell, using: Callable[[str], Awaitable[None]]
    ) -> None:
        """`using` is awaited before an image is used that is on the engine."""
        self._engine = engine
        self._using = using
        self._registry = registry
        self._tell = tell
        self._pulls: dict[str, _Pull] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def has(self, image: str) -> bool:
        """Whether the registry has it; while the registry gives no answer, an image that is here will do.

        Raises BuildBroken when nobody can say: a build would be needless, or would fail at its end.
        """
        await self._using(image)
        try:
            if self._registry is None:
                return await self._engine.has(image)
            return await self._registry.has(image)
        except RegistryDown as error:
            if await self._is_here(image):
                return True
            self._tell(Note(f"The registry did not say whether it has {image}: {error}"))
            raise BuildBroken(
                "The registry of this federation's images does not answer. Please try again soon."
            ) from error
        except (EngineDown, EngineRefused) as error:
            raise BuildBroken(_ENGINE_DOWN) from error

    async def fetch(self, image: str) -> AsyncIterator[str]:
        """Tells about a pull, which all who ask for the image at the same time share; nothing if it is here.

        The pull goes on when its watchers leave: the next launch of the image is glad of it.
        """
        await self._using(image)
        try:
            if await self._engine.has(image):
                return
        except (EngineDown, EngineRefused) as error:
            raise LaunchFailed(_ENGINE_DOWN) from error
        if self._registry is None:
            raise LaunchFailed(
                f"Image {image} is not on this member's engine any more, and it has no registry."
            )
        pull = self._pulls.get(image) or self._begin(image, self._registry)
        told = 0
        while True:
            news = pull.news
            for line in pull.lines[told:]:
                yield line
            told = len(pull.lines)
            if pull.ended:
                break
            await news.wait()
        if pull.error is not None:
            raise LaunchFailed(str(pull.error))

    async def check(self) -> bool:
        """Whether the engine answers and the registry gives images: what launches need."""
        return all(await asyncio.gather(self._engine_answers(), self._registry_answers()))

    async def close(self) -> None:
        """Ends every pull; those who wait for one learn of it."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _engine_answers(self) -> bool:
        try:
            await self._engine.version()
        except (EngineDown, EngineRefused):
            return False
        return True

    async def _registry_answers(self) -> bool:
        return self._registry is None or await self._registry.check()

    async def _is_here(self, image: str) -> bool:
        try:
            return await self._engine.has(image)
        except (EngineDown, EngineRefused):
            return False

    def _begin(self, image: str, registry: Registry) -> _Pull:
        if self._closed:
            raise LaunchFailed(_ENDED)
        pull = self._pulls[image] = _Pull()
        pull.task = asyncio.create_task(self._run(pull, image, registry), name=f"pull {image}")
        self._tasks.add(pull.task)
        pull.task.add_done_callback(lambda task: self._end(pull, image, task))
        return pull

    def _end(self, pull: _Pull, image: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        del self._pulls[image]
        if task.cancelled():
            pull.end(LaunchFailed(_ENDED))
            return
        error = task.exception()
        if error is not None and not isinstance(error, LaunchFailed):
            self._tell(Note(f"The pull of {image} failed: {error}"))
            error = LaunchFailed(f"Image {image} could not be pulled.")
        pull.end(error)

    async def _run(self, pull: _Pull, image: str, registry: Registry) -> None:
        pull.tell("Pulling the image from the registry\n")
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_PULL_LIMIT):
                await self._pull_somehow(pull, image, registry)
        except TimeoutError as error:
            raise LaunchFailed(
                f"Image {image} could not be pulled within {_PULL_LIMIT / 60:g} minutes."
            ) from error
        seconds = asyncio.get_running_loop().time() - started
        pull.tell(f"The image is ready on this member after {seconds:.1f} s\n")

    async def _pull_somehow(self, pull: _Pull, image: str, registry: Registry) -> None:
        """By the cache if there is one; a cache that cannot deliver is passed by."""
        name = registry.pull_name(image)
        if name == image:
            await self._pull(pull, image, registry)
            return
        try:
            await self._pull(pull, name, registry)
            await self._engine.tag(name, image)
            await self._engine.untag(name)
        except (LaunchFailed, EngineRefused) as error:
            self._tell(Note(f"The pull-through cache did not deliver {name}: {error}"))
            pull.tell("Pulling the image from the registry itself\n")
            await self._pull(pull, image, registry)

    async def _pull(self, pull: _Pull, name: str, registry: Registry) -> None:
        try:
            async for line in self._engine.pull(name, await registry.credentials(name)):
                pull.tell(line)
            # A stream of progress may break off without a word.
            if await self._engine.has(name):
                return
            raise LaunchFailed(f"The pull of image {name} broke off.")
        except EngineDown as error:
            raise LaunchFailed(_ENGINE_DOWN) from error
        except (EngineRefused, RegistryDown) as error:
            raise LaunchFailed(f"Image {name} could not be pulled: {error}") from error
