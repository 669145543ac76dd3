"""Where launches wait until a member has a seat for them, in fair order. Knows no member, no lease and no stream.

A stir wakes one launch, and each that cannot be served wakes the next: a seat costs as many looks as launches
are in front of the one that takes it, not as many as wait. A launch takes its seat in its own step, never in
somebody else's: one that was given up at that moment has taken nothing that would have to be given back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from itertools import count, islice

from federation.core.errors import RoomFull, WaitedTooLong
from federation.core.model import Launch
from federation.core.pace import Pace, estimate, noted, rested, rounded
from federation.core.waiting import Entry, Place, Queue, joined, left, place, served
from federation.service.audience import Audience
from federation.service.dispatch import InForce
from federation.service.ports import Entered, T

QUIET = 2.0  # seconds between two places told to a launch, at least
FAR = 50  # a place so far back is told half as often: it changes all the time, and nobody waits for that
ALIVE = 18.0  # seconds after which a place is told again though it is the same: streams stay alive
TICK = 1.0  # seconds after which all are asked again, though nothing stirred
FRONT = 16  # launches that are asked at a stir, unless some of them are served


class _Waiter:
    """One launch in the room. It can be asked as long as it does not tell its place."""

    __slots__ = ("_called", "_woken", "audience", "entry", "missed", "refused")

    def __init__(self, entry: Entry, audience: Audience) -> None:
        self.entry = entry
        self.audience = audience
        self.refused = -1  # the stir after which there was no seat for it
        self.missed = False  # it was to be asked while it could not be
        self._woken: asyncio.Future[None] | None = None
        self._called = False

    def ask(self) -> bool:
        """Whether it could be asked; it answers in its own next step."""
        self._called = self._woken is not None
        self.missed = not self._called
        self._wake()
        return self._called

    async def asked(self, seconds: float) -> bool:
        """Whether it was asked within this time."""
        loop = asyncio.get_running_loop()
        self._woken, self._called = loop.create_future(), False
        timer = loop.call_later(max(0.0, seconds), self._wake)
        try:
            await self._woken
            return self._called
        finally:
            timer.cancel()
            self._woken = None

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)


class WaitingRoom:
    """The launches that wait. Nothing of it runs while there are none."""

    def __init__(
        self,
        in_force: InForce,
        now: Callable[[], float],
        *,
        quiet: float = QUIET,
        alive: float = ALIVE,
        tick: float = TICK,
    ) -> None:
        """`now` is in seconds that never go back, such as the event loop's time."""
        self._in_force = in_force
        self._now = now
        self._quiet = quiet
        self._alive = alive
        self._every = tick
        self._numbers = count(1)
        self._waiters: dict[int, _Waiter] = {}  # by number, which is the order of arrival
        self._queue = Queue()
        self._pace = Pace()
        self._emptied = 0.0  # when the last one left
        self._stirs = 0
        self._front_again = False  # before all others, those in front are asked
        self._to_ask: deque[int] = deque()
        self._asked: _Waiter | None = None  # it has not answered yet
        self._entering = False
        self._soon = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Launches that wait now."""
        return len(self._waiters)

    @property
    def longest(self) -> float:
        """Seconds that the one who came first of them has waited."""
        first = next(iter(self._waiters.values()), None)
        return 0.0 if first is None else self._now() - first.entry.at

    @property
    def crowded(self) -> bool:
        """Whether somebody waits who might be served now: whoever comes then has to wait too."""
        return any(self._hopes(waiter) for waiter in self._waiters.values())

    def stir(self) -> None:
        """A seat may have come free: those in front try again, soon. Costs nothing while nobody waits."""
        if self._waiters and not self._entering:  # what an entering launch itself changes frees no seat
            self._stirs += 1
            self._look()

    async def wait(
        self, launch: Launch, visitor: str, audience: Audience, enter: Callable[[], T | None]
    ) -> AsyncGenerator[Place | Entered[T], None]:
        """The launch's place, whenever it has changed and from time to time, and at last what it entered with.

        `enter` decides and takes a seat in one step, and returns None when there is none for this launch. It is
        called only in its turn; while the audience is empty the turn passes on, and the place is kept. What was
        entered has to be taken before anything is awaited. Raises `RoomFull` before the first place, and
        `WaitedTooLong` after `waiting.timeout`. Close it (`contextlib.aclosing`) to give the place up at once.
        """
        limit = self._in_force().waiting.timeout
        waiter = self._come(launch, visitor, audience)
        deadline = waiter.entry.at + limit
        try:
            told: Place | None = None
            looks = again = waiter.entry.at
            while (now := self._now()) < deadline:
                if now >= looks:
                    found = self._place(waiter, now)
                    if found != told or now >= again:
                        yield found
                        told, now = found, self._now()
                        again = now + self._alive
                    looks = min(now + self._quiet * (1 + found.position / FAR), again)
                if await self._turn(waiter, min(looks, deadline)):
                    value = self._enter(waiter, enter)
                    if value is not None:
                        yield Entered(value)
                        return
            raise WaitedTooLong(
                f"All members stayed full for {limit:g} s, longer than a launch may wait. Please try again later."
            )
        finally:
            self._leave(waiter)

    def _come(self, launch: Launch, visitor: str, audience: Audience) -> _Waiter:
        rules = self._in_force().waiting
        if len(self._waiters) >= rules.places:
            raise RoomFull(
                "All members are full, and so is the waiting room, where "
                f"{rules.places} launches may wait. Please try again in a few minutes."
            )
        if sum(waiter.entry.visitor == visitor for waiter in self._waiters.values()) >= rules.per_visitor:
            raise RoomFull(
                f"All members are full, and {rules.per_visitor} launches from your address wait for a seat "
                "already, which is the most at a time. Please try again when one of them has started."
            )
        now = self._now()
        if not self._waiters:
            self._pace = rested(self._pace, now - self._emptied)
            self._timer = asyncio.get_running_loop().call_later(self._every, self._tick)
        waiter = _Waiter(Entry(next(self._numbers), launch.repo_key, visitor, now), audience)
        self._waiters[waiter.entry.number] = waiter
        self._queue = joined(self._queue, waiter.entry)
        self._look()  # whoever was sent here because it is crowded may be served at once
        return waiter

    def _place(self, waiter: _Waiter, now: float) -> Place:
        found = place(self._queue, waiter.entry.number)
        seconds = estimate(self._pace, found.position, now)
        return found if seconds is None else replace(found, estimate=rounded(seconds))

    async def _turn(self, waiter: _Waiter, until: float) -> bool:
        """Whether its turn to enter comes before this time."""
        if waiter.missed:
            waiter.missed = False
            self._look()
        return await waiter.asked(until - self._now())

    def _enter(self, waiter: _Waiter, enter: Callable[[], T | None]) -> T | None:
        self._entering = True
        try:
            value = enter()
        finally:
            self._entering = False
        if value is None:
            waiter.refused = self._stirs
            self._answered()
        else:
            self._pace = noted(self._pace, self._now())
            self._queue = served(self._queue, waiter.entry.number)
            self._front_again = True  # where one seat came free there may be more
            self._gone(waiter)
        return value

    def _leave(self, waiter: _Waiter) -> None:
        """However it ends. One that has entered has left already."""
        if waiter.entry.number in self._waiters:
            self._queue = left(self._queue, waiter.entry.number)
            self._gone(waiter)

    def _gone(self, waiter: _Waiter) -> None:
        del self._waiters[waiter.entry.number]
        if not self._waiters and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._emptied = self._now()
        if self._asked is waiter:
            self._answered()

    def _answered(self) -> None:
        self._asked = None
        self._go_on()

    def _look(self) -> None:
        self._front_again = True
        if not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._go_on_soon)

    def _go_on_soon(self) -> None:
        self._soon = False
        if self._asked is None:
            self._go_on()

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._tick)
        self._stirs += 1
        everybody = (turn.entry.number for turn in self._queue.turns)
        self._to_ask = deque(dict.fromkeys((*self._to_ask, *everybody)))
        self._look()

    def _go_on(self) -> None:
        """Asks the next one, if anybody is left to be asked; nobody is being asked now."""
        if self._front_again:
            self._front_again = False
            numbers = (turn.entry.number for turn in self._queue.turns)
            hopeful = (number for number in numbers if self._hopes(self._waiters[number]))
            # Those behind that are still to be asked stay so, else constant stirs would keep their turn off.
            self._to_ask = deque(dict.fromkeys((*islice(hopeful, FRONT), *self._to_ask)))
        while self._to_ask:
            waiter = self._waiters.get(self._to_ask.popleft())
            if waiter is not None and self._hopes(waiter) and waiter.ask():
                self._asked = waiter
                return

    def _hopes(self, waiter: _Waiter) -> bool:
        """Whether somebody wants it, and something has changed since there was no seat for it."""
        return waiter.audience.size > 0 and waiter.refused != self._stirs
