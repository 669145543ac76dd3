"""Launches that an operator sends to one member, to see for themselves. Knows no request and no page.

A drained member is launched on as any other: that is what it is tested for before it comes back. Of a member that
takes launches the end is told as a canary's, since it is as good a proof; nothing of it looks like a visitor.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from federation.core.facts import Listener
from federation.core.model import Launch, Member
from federation.service.own_launch import Ended, OwnLaunches, report
from federation.service.pool import same_place
from federation.service.ports import Frame, Members

MOST = 2  # at a time, over all operators


class TooMany(Exception):
    """As many tests run already as may."""


class LaunchTests:
    """Each takes a member's seat, so there are few at a time. `running` is how many there are."""

    def __init__(self, pool: Members, own: OwnLaunches, tell: Listener) -> None:
        self._pool = pool
        self._own = own
        self._tell = tell
        self.running = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A test's place as long as the block lasts. Raises `TooMany`."""
        if self.running >= MOST:
            raise TooMany
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1

    async def run(self, member: Member, launch: Launch) -> AsyncGenerator[Frame | Ended]:
        """As `OwnLaunches.run`; to be used in a place of its own."""
        async with aclosing(self._own.run(member, launch)) as told:
            async for one in told:
                if isinstance(one, Ended):
                    self._ended(member, launch, one)
                yield one

    def _ended(self, member: Member, launch: Launch, ended: Ended) -> None:
        now = self._pool.view(member.name)
        if now is not None and now.refusal is None and same_place(now.member, member):
            report(self._pool, self._tell, member, launch, ended)
