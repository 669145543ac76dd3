"""A captain's books and workers' followers in one process, with messages that arrive when a test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Any

from federation.core.facts import Fact
from federation.core.model import Check, Member, Seats
from federation.core.policies import Dice
from federation.core.rules import PolicyRules, Settings
from federation.service.dispatch import Dispatcher
from federation.service.pool import Pool
from federation.service.ports import ProbeResult
from federation.service.refs import Refs
from federation.workers.account import Account, Books
from federation.workers.builds import Elsewhere, TellingDispatcher
from federation.workers.channel import unpacked
from federation.workers.feed import Feed
from federation.workers.follower import Follower
from federation.workers.messages import Picture, Shared

HALF: Dice = lambda: 0.5  # noqa: E731


def no_refs() -> Refs:
    """Nobody is asked what a ref means."""

    class Nobody:
        async def resolve(self, url: str, names: Sequence[str]) -> str | None:
            return None

    return Refs(Nobody(), lambda fact: None)


class Clock:
    time = 100.0

    def now(self) -> float:
        return self.time


class Remote:
    """A worker: its follower and dispatcher, and the way there and back."""

    def __init__(self, mark: str, fleet: Fleet) -> None:
        self.outgoing: deque[Any] = deque()
        self.incoming: deque[Any] = deque()
        self.follower = Follower(lambda: fleet.settings, self.outgoing.append)
        self.dispatcher = TellingDispatcher(
            self.follower, lambda: fleet.settings, HALF, no_refs(), mark=mark, send=self.outgoing.append
        )
        self.account = Account(
            Books(
                fleet.pool,
                fleet.builds,
                fleet.tell,
                fleet.clock,
                fleet.numbers,
                lambda message: fleet.pass_on(self, message),
            )
        )
        self.hungry = True

    @property
    def counted(self) -> int:
        return self.account.counted

    def show(self, picture: Picture) -> None:
        self.incoming.append(picture)

    def told(self) -> None:
        """All that the worker sent arrives."""
        while self.outgoing:
            self.account.enter(self.outgoing.popleft())

    def hear(self) -> None:
        """All that the captain sent arrives."""
        while self.incoming:
            self.hear_one()

    def hear_one(self) -> None:
        match self.incoming.popleft():
            case Picture() as picture:
                self.follower.take_over(picture, unpacked(picture.shown))
            case message:
                self.dispatcher.elsewhere.take(message)


class Fleet:
    """One captain, and so many workers that have had their first picture."""

    def __init__(self, *members: Member, workers: int = 2, **policy: Any) -> None:
        self.settings = Settings(members, policy=PolicyRules(**policy))
        self.clock = Clock()
        self.pool = Pool(self.settings, self.clock, HALF)
        self.builds = Elsewhere(Dispatcher(self.pool, lambda: self.settings, HALF, no_refs()))
        self.facts: list[Fact] = []
        self.numbers = count(1)
        self.workers = [Remote(f"mark{number}", self) for number in range(workers)]
        self.feed = Feed(self.pool, lambda: self.workers)
        for member in members:
            self.look(member.name, Seats(0, member.seats))
        self.show()

    def tell(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.pool.listen(fact)

    def pass_on(self, sender: Remote, message: Shared) -> None:
        for worker in self.workers:
            if worker is not sender:
                worker.incoming.append(message)

    def look(self, name: str, seats: Seats | None = None) -> None:
        self.pool.observe(
            ProbeResult(name, self.clock.time, True, True, checks=(Check("Hub", True),), seats=seats)
        )

    def show(self) -> None:
        """Everything arrives everywhere, and everybody has the newest picture."""
        for worker in self.workers:
            worker.told()
        self.feed.send()
        for worker in self.workers:
            worker.hear()
