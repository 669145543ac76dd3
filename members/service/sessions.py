"""The sessions of this member: room for one more, removal of those nobody will use. Knows no launch."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from members.core import quota
from members.core.facts import Tell, Trouble
from members.core.quota import Quota, QuotaExceeded
from members.service.ports import Hub, Session

_BEGINNING = 1.0  # seconds in which a session that begins may be counted twice


class Seat:
    """A promise of room for one session, until the hub itself counts that session."""

    def __init__(self, promised: Counter[str], image: str) -> None:
        self._promised = promised
        self._image: str | None = image
        promised[image] += 1

    def give_back(self) -> None:
        """Ends the promise; a second time does nothing."""
        if self._image is not None:
            self._promised[self._image] -= 1
            self._image = None


class Sessions:
    """What the hub runs plus what was promised. `close` waits for removals under way."""

    def __init__(self, hub: Hub, limits: Quota, tell: Tell, *, removal_timeout: float = 30.0) -> None:
        """A removal gets `removal_timeout` seconds; what it leaves then is the idle culler's."""
        self._hub = hub
        self._limits = limits
        self._tell = tell
        self._removal_timeout = removal_timeout
        self._promised: Counter[str] = Counter()
        self._removals: set[asyncio.Task[None]] = set()

    @property
    def limit(self) -> int | None:
        """Sessions that may run here at once; None is no limit."""
        return self._limits.total

    @property
    def limits(self) -> Quota:
        """The limits of every repository; `quota.for_spec` knows those of one."""
        return self._limits

    async def check(self, image: str, repo_url: str, limits: Quota) -> None:
        """Raises QuotaExceeded when there is no room now, LaunchFailed when the hub does not answer."""
        if limits.unlimited:
            return
        running = Counter(await self._hub.sessions())
        quota.check(limits, running, image, repo_url)
        try:
            quota.check(limits, running + self._promised, image, repo_url)
        except QuotaExceeded:
            # A session that begins in this moment is still promised, and the hub counts it already.
            await asyncio.sleep(_BEGINNING)
            running = Counter(await self._hub.sessions())
            quota.check(limits, running + self._promised, image, repo_url)

    @asynccontextmanager
    async def seat(self, image: str, repo_url: str, limits: Quota) -> AsyncIterator[Seat]:
        """Room for one session; raises as `check` does.

        Launches that come at the same moment are told apart here: nothing is awaited between the look at the
        promises to those before and the promise, so ten of them do not all take the last seat.
        """
        await self.check(image, repo_url, limits)
        seat = Seat(self._promised, image)
        try:
            yield seat
        finally:
            seat.give_back()

    def discard(self, session: Session) -> None:
        """Removes a session that nobody will use, in the background: whoever waited may be gone."""
        removal = asyncio.create_task(self._remove(session), name="remove session")
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    async def close(self, limit: float = 5.0) -> None:
        """Waits `limit` seconds for the removals under way, then ends them: the hub ends with the member."""
        if self._removals:
            await asyncio.wait(self._removals, timeout=limit)
        for removal in self._removals:
            removal.cancel()
        await asyncio.gather(*self._removals, return_exceptions=True)

    async def _remove(self, session: Session) -> None:
        try:
            async with asyncio.timeout(self._removal_timeout):
                await session.remove()
        except Exception as error:
            self._tell(Trouble("removal of a session", error))  # nobody waits for this task's result
