"""The attempts of one launch that run now: one, or an overtaken one and the newest. Knows no visitor and no rule of
who comes next.

**Whose failure ends the launch.** A retryable one never does while another attempt runs. A final one does, unless
that other attempt disproves it: one that has come past its build shows that the image can be made, whatever
a build elsewhere says; one whose member has told anything at all has let the visitor in, whatever limit or rule
turned the same visitor away elsewhere. So a launch that was tried beside another is never worse off than if it had
been left alone. What was disproved is not believed again when the other attempt fails too: the next member is tried.

A `ready` ends the other attempt at once, however slowly the visitor reads. Both may still become ready
in the same moment; a stock BinderHub then keeps the second server until it is culled.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterable

from federation.core.phases import Verdict
from federation.core.progress import Progress
from federation.core.rules import LaunchRules
from federation.service.attempt import HANDED_ON, Attempt, Inbox
from federation.service.audience import Audience
from federation.service.claim import Claim
from federation.service.ports import Frame, Patience

SIDE_BY_SIDE = 2
LOOK_AGAIN = 1.0  # seconds until an overdue launch asks again for another member

OpenOn = Callable[
    [Claim, str], AsyncGenerator[Frame, None]
]  # the member's stream after the event with this id


def stands(verdict: Verdict, others: Iterable[Progress]) -> bool:
    """Whether a final failure ends the launch though these attempts still run; see above."""
    if verdict.cause == "repository":
        return not any(other.built for other in others)
    return not any(other.heard for other in others)


class Race:
    """Starts attempts, tells what they do, and says which stands still for too long."""

    def __init__(self, open: OpenOn, audience: Audience, patience: Patience) -> None:
        self.running: list[Attempt] = []  # the newest last
        self._open = open
        self._audience = audience
        self._patience = patience
        self._inbox: Inbox = asyncio.Queue(HANDED_ON)
        self._ending: list[Attempt] = []
        self._look_again = 0.0

    def start(self, claim: Claim, number: int, rules: LaunchRules) -> None:
        """One more attempt."""
        name = claim.member.name

        def patience(phase: str) -> float:
            return self._patience.limit(name, phase, rules.stuck_after)

        attempt = Attempt(claim, number, self._inbox, patience)
        self.running.append(attempt)
        attempt.start(
            lambda after: self._open(claim, after),
            self._audience,
            rules.timeout,
            lambda: self._won(attempt),
        )

    async def news(self, *, hedging: bool) -> tuple[Attempt, Frame | None] | None:
        """The next event of an attempt that runs, or None with it when it ended. None alone when one has stood
        still for too long: see `overdue`. `hedging` tells that another member could still be started."""
        while True:
            try:
                async with asyncio.timeout_at(self._due(hedging)):
                    attempt, frame = await self._inbox.get()
            except TimeoutError:
                return None
            if attempt in self.running:
                return attempt, frame

    def overdue(self) -> list[Attempt]:
        """Those that stand still for too long now. While nobody listens none does: its time begins anew."""
        now = _now()
        found = [attempt for attempt in self.running if attempt.overdue_at <= now]
        if found and self._audience.size == 0:
            for attempt in found:
                attempt.progress.connected_anew(now)
            return []
        self._look_again = now + LOOK_AGAIN
        return found

    def leave(self, attempt: Attempt) -> None:
        """Takes one out that has ended by itself."""
        self.running.remove(attempt)

    def overrule(self) -> list[Attempt]:
        """Ends those that still run, since the launch is over: their streams are closed soon, and `close` waits."""
        overruled, self.running = self.running, []
        for attempt in overruled:
            attempt.cancel()
        self._ending += overruled
        return overruled

    async def close(self) -> None:
        """Ends all attempts and returns when their streams are closed."""
        self.overrule()
        await asyncio.gather(*(attempt.close() for attempt in self._ending))

    def _won(self, winner: Attempt) -> None:
        for attempt in self.running:
            if attempt is not winner:
                attempt.cancel()

    def _due(self, hedging: bool) -> float | None:
        """When to look for standstill; None when nothing would follow from it."""
        moments = [attempt.overdue_at for attempt in self.running if not attempt.suspect]
        if hedging and len(self.running) < SIDE_BY_SIDE:
            moments += [max(one.overdue_at, self._look_again) for one in self.running if one.suspect]
        due = min(moments, default=math.inf)
        return None if due == math.inf else due


def _now() -> float:
    return asyncio.get_running_loop().time()
