"""Looks over the federation's images and takes away what a policy gives up. Knows no registry and decides nothing.

Between a look and a deletion the world goes on: each deletion first asks again whether anything has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from members.core import usage
from members.core.retention import Image, Pieces, Policy, Verdict, is_built, judge
from members.core.usage import Known, Usage

_Answer = TypeVar("_Answer")


class Images(Protocol):
    """The registry's images. All methods raise RegistryDown or RegistryRefuses."""

    async def repositories(self) -> list[str]: ...

    async def tags(self, repository: str) -> list[str]: ...

    async def digest(self, repository: str, tag: str) -> str | None: ...

    async def pieces(self, repository: str, tag: str) -> Pieces | None: ...

    async def delete(self, repository: str, digest: str) -> None: ...


class Records(Protocol):
    """All members' records of use. Raises RegistryDown."""

    async def records(self) -> list[Usage]: ...


@dataclass(frozen=True, slots=True)
class Survey:
    """All images that were built for the federation, by name, and what its members know about them."""

    images: tuple[Image, ...]
    known: Known


@dataclass(frozen=True, slots=True)
class Deleted:
    """What came of one verdict to go; `kept` says why it stayed after all, and is empty when it went."""

    image: Image
    kept: str = ""


class Retention:
    """One federation's images: those under its prefix that have a builder's kind of name, and no others."""

    def __init__(
        self, images: Images, records: Records, *, image_prefix: str, clock: Callable[[], float]
    ) -> None:
        self._images = images
        self._records = records
        self._prefix = image_prefix
        self._clock = clock

    async def survey(self) -> Survey:
        """Everything there is. Raises RegistryDown or RegistryRefuses."""
        known = await self._known()
        built = [name for name in await self._images.repositories() if is_built(name, self._prefix)]
        found = await _all([self._repository(name, known) for name in sorted(built)])
        return Survey(tuple(image for images in found for image in images), known)

    def judge(self, survey: Survey, policy: Policy) -> list[Verdict]:
        return judge(survey.images, survey.known, policy, self._prefix, self._clock())

    async def prune(self, verdicts: Sequence[Verdict], policy: Policy) -> AsyncIterator[Deleted]:
        """Deletes what goes, one image (with all its tags) after another, and tells each.

        What was used, pushed, tagged or moved since stays. Raises RegistryDown or RegistryRefuses: what has been
        told until then has been done, and nothing else.
        """
        going: dict[tuple[str, str], list[Image]] = {}
        before: dict[str, set[str]] = {}
        for verdict in verdicts:
            before.setdefault(verdict.image.repository, set()).add(verdict.image.tag)
            if verdict.goes:
                going.setdefault((verdict.image.repository, verdict.image.pieces.digest), []).append(
                    verdict.image
                )
        for (repository, digest), images in going.items():
            changed = await self._changed(repository, digest, images, before[repository], policy)
            if not changed:
                await self._images.delete(repository, digest)
                before[repository] -= {image.tag for image in images}
            for image in images:
                yield Deleted(image, changed)
            if not changed:
                await self._delete_parts(repository, images[0].pieces.parts)

    async def _delete_parts(self, repository: str, parts: Sequence[str]) -> None:
        """The manifests of an index that went, which no garbage collection would free, unless another tag has them."""
        if not parts:
            return
        tags = await self._images.tags(repository)
        left = await _all([self._images.pieces(repository, tag) for tag in tags])
        needed = {digest for pieces in left if pieces for digest in (pieces.digest, *pieces.parts)}
        for part in parts:
            if part not in needed:
                await self._images.delete(repository, part)

    async def _changed(
        self, repository: str, digest: str, images: Sequence[Image], tags: set[str], policy: Policy
    ) -> str:
        """Why these images must stay after all; empty when nothing has happened to them."""
        if set(await self._images.tags(repository)) != tags:
            return "its repository has changed meanwhile"
        for image in images:
            if await self._images.digest(repository, image.tag) != digest:
                return "it was pushed anew meanwhile"
        known = await self._known()
        now_known = [replace(image, last_use=known.last_use.get(image.name)) for image in images]
        verdicts = judge(now_known, known, policy, self._prefix, self._clock())
        return next((f"it {verdict.reason}" for verdict in verdicts if not verdict.goes), "")

    async def _known(self) -> Known:
        return usage.together(await self._records.records(), self._clock())

    async def _repository(self, name: str, known: Known) -> list[Image]:
        tags = sorted(await self._images.tags(name))
        found = await _all([self._images.pieces(name, tag) for tag in tags])
        return [
            Image(name, tag, pieces, known.last_use.get(f"{name}:{tag}"))
            for tag, pieces in zip(tags, found, strict=True)
            if pieces is not None
        ]


async def _all(questions: Iterable[Coroutine[None, None, _Answer]]) -> list[_Answer]:
    """All answers in order; the first error ends the other questions."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(question) for question in questions]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
