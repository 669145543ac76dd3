"""What stands in where a front door has no waiting room, no retry budget, no git and no history of its members."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from federation.core.errors import RoomFull
from federation.core.model import Launch
from federation.core.waiting import Place
from federation.service.audience import Audience
from federation.service.ports import Entered, T


class NoRoom:
    """A waiting room without a place."""

    crowded = False

    async def wait(
        self, launch: Launch, visitor: str, audience: Audience, enter: Callable[[], T | None]
    ) -> AsyncGenerator[Place | Entered[T], None]:
        raise RoomFull("There is no waiting room.")
        yield  # what makes it a generator


class NoBudget:
    """Grants every further attempt."""

    def launched(self) -> None:
        pass

    def granted(self) -> bool:
        return True


class NoGit:
    """Cannot tell what any ref means."""

    async def resolve(self, url: str, names: tuple[str, ...]) -> str | None:
        return None


class NoHistory:
    """Knows of no member how long it takes."""

    def limit(self, member: str, phase: str, default: float) -> float:
        return default
