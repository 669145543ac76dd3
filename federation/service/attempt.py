"""One launch on one member, as a task of its own. Knows no other attempt and decides nothing.

The member's stream is read no faster than its events are taken, and closed with the first event that ends the
launch here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from federation.core.errors import MemberFault
from federation.core.phases import Ending, Verdict
from federation.core.progress import Progress
from federation.service.audience import Audience
from federation.service.claim import Claim
from federation.service.member_link import MemberLink, Open
from federation.service.ports import Frame

HANDED_ON = 8  # events that may wait to be taken, of all attempts of a launch


class Attempt:
    """What runs on one member. `verdict` and `last`, the event it was judged by, tell how it ended."""

    def __init__(self, claim: Claim, number: int, inbox: Inbox, patience: Callable[[str], float]) -> None:
        """`patience` is for how many seconds a launch may stand still here, by phase."""
        self.claim = claim
        self.name = claim.member.name
        self.number = number
        self.begun = _now()
        self.progress = Progress(self.begun)
        self.verdict: Verdict | None = None
        self.last: Frame | None = None
        self.fault: MemberFault | None = None
        self.suspect = False  # it stood still for too long
        self._bug: Exception | None = None
        self._inbox = inbox
        self._patience = patience
        self._limit = patience(self.progress.phase)
        self._held_up = False
        self._task: asyncio.Task[None] | None = None

    @property
    def overdue_at(self) -> float:
        """When it will have stood still for too long, on the loop's clock; never while the visitor holds it up."""
        return math.inf if self._held_up else self.progress.since + self._limit

    def start(self, open: Open, audience: Audience, limit: float, won: Callable[[], None]) -> None:
        """Begins to read what `open` opens, for `limit` seconds at most. `won` is called at once with `ready`."""

        def opened(after: str) -> AsyncGenerator[Frame, None]:
            self.progress.connected_anew(_now())
            return open(after)

        link = MemberLink(opened, audience, limit)
        self._task = asyncio.create_task(self._run(link, won), name=f"attempt on {self.name}")

    def result(self) -> Verdict:
        """How it ended. Raises what our own code raised in it."""
        if self.verdict is None:
            raise self._bug or RuntimeError(f"the attempt on {self.name} has not ended")
        return self.verdict

    def cancel(self) -> None:
        """Closes the member's stream soon. Once: a second time would interrupt the closing."""
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()

    async def close(self) -> None:
        """Closes the member's stream and returns when that is done."""
        self.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, link: MemberLink, won: Callable[[], None]) -> None:
        try:
            self.verdict = await self._read(link)
        except MemberFault as fault:
            self.fault = fault
            self.verdict = Verdict(Ending.RETRYABLE, fault.cause, str(fault))
        except Exception as error:  # ours: raised where the launch is told, not lost in a task
            self._bug = error
        if self.verdict is not None and self.verdict.ending is Ending.READY:
            won()
        await self._inbox.put((self, None))

    async def _read(self, link: MemberLink) -> Verdict:
        async with aclosing(link.frames()) as frames:
            async for frame in frames:
                verdict = self._take(frame)
                if verdict is not None:
                    self.last = frame
                    return verdict
                await self._hand_on(frame)
        return Verdict(Ending.RETRYABLE, "broken_off", "ended the stream early")

    def _take(self, frame: Frame) -> Verdict | None:
        progress = self.progress
        phase = progress.phase
        verdict = progress.take(frame.event, frame.id.partition(".")[0], _now())
        if progress.phase != phase:
            self._limit = self._patience(progress.phase)
        # First: between builder and holder there must be no moment.
        self.claim.heard(frame.event, building=progress.building)
        if progress.built:
            self.claim.let_nobody_join()
        return verdict

    async def _hand_on(self, frame: Frame) -> None:
        if not self._inbox.full():
            self._inbox.put_nowait((self, frame))
            return
        begun, self._held_up = _now(), True
        await self._inbox.put((self, frame))
        self._held_up = False
        self.progress.held_up(_now() - begun)


Inbox = asyncio.Queue[tuple[Attempt, Frame | None]]  # None is the end of the attempt


def _now() -> float:
    return asyncio.get_running_loop().time()
