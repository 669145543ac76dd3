"""What one worker has told the captain, entered in the captain's own books. Knows no process and no channel.

A worker's launches are numbered anew, in the order in which they are heard of, so that the numbers of all workers are
one sequence. When a worker is gone, everything that it held is given back, and its launches are told as over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from federation.core.facts import (
    AttemptEnded,
    Chosen,
    Fact,
    LaunchEnded,
    Listener,
    Outcome,
    Overdue,
    Redirected,
)
from federation.service.leases import Lease
from federation.service.pool import Pool
from federation.service.ports import Clock
from federation.workers.builds import Elsewhere
from federation.workers.messages import (
    Began,
    Closed,
    Counted,
    Handed,
    Opened,
    Passed,
    Refused,
    Shared,
    Showed,
    Told,
    Turned,
    Waiting,
)

LOST = "worker_lost"
WHY_LOST = "the process that carried the launch has ended"


@dataclass(frozen=True, slots=True)
class Books:
    """What all accounts write to."""

    pool: Pool
    builds: Elsewhere
    tell: Listener
    clock: Clock
    numbers: Iterator[int]
    pass_on: Callable[[Shared], None]  # to all workers but the one that it is from


class Account:
    """One worker's."""

    def __init__(self, books: Books) -> None:
        self.counted = 0  # messages that changed seats
        self.waiting = Waiting(0, 0.0)
        self._books = books
        self._leases: dict[int, Lease] = {}
        self._launches: dict[int, int] = {}  # by the worker's number: ours
        self._last: dict[int, Chosen] = {}  # by our number: the attempts of launches that have not ended
        self._builds: dict[tuple[str, int], None] = {}

    def enter(self, message: object) -> None:
        books = self._books
        match message:
            case Opened() | Turned() | Closed() | Handed():
                self.counted += 1
                self._seat(message)
            case Refused(member, reason):
                books.pool.refused(member, reason)
            case Began():
                self._builds[message.key] = None
                books.builds.began(message)
                books.pass_on(message)
            case Passed(key):
                self._pass(key)
            case Showed():
                books.builds.showed(message)
                books.pass_on(message)
            case Waiting():
                self.waiting = message
            case Told(fact):
                books.tell(self._numbered(fact))
            case _:
                raise TypeError(f"no message of a worker: {message!r}")

    def close(self) -> None:
        """The worker is gone."""
        for key in list(self._builds):
            self._pass(key)
        for chosen in list(self._last.values()):
            self._lost(chosen)
        self._last.clear()
        for lease in self._leases.values():
            lease.close()
        self._leases.clear()

    def _seat(self, message: Counted) -> None:
        pool = self._books.pool
        match message:
            case Opened(number, member):
                self._leases[number] = pool.lease(member)
            case Turned(number, building):
                self._leases[number].builds(building)
            case Closed(number, ready):
                self._leases.pop(number).close(ready=ready)
            case Handed(member):
                if (index := pool.snapshot().index.get(member)) is not None:
                    pool.handed(index)

    def _numbered(self, fact: Fact) -> Fact:
        """The fact with our number for its launch. Facts that came last for a launch let go of its number."""
        match fact:
            case Chosen():
                chosen = replace(fact, id=self._number(fact.id))
                self._last[chosen.id] = chosen
                return chosen
            case AttemptEnded() | Overdue():
                return replace(fact, id=self._number(fact.id))
            case LaunchEnded():
                ended = replace(fact, id=self._number(fact.id))
                del self._launches[fact.id]
                self._last.pop(ended.id, None)
                return ended
            case Redirected():  # the whole launch in one fact
                return replace(fact, id=next(self._books.numbers))
            case _:
                return fact

    def _number(self, id: int) -> int:
        if id not in self._launches:
            self._launches[id] = next(self._books.numbers)
        return self._launches[id]

    def _pass(self, key: tuple[str, int]) -> None:
        self._builds.pop(key, None)
        self._books.builds.passed(key)
        self._books.pass_on(Passed(key))

    def _lost(self, chosen: Chosen) -> None:
        launch, id, now = chosen.decision.launch, chosen.id, self._books.clock.now()
        seconds = max(0.0, now - chosen.at)
        gone = Outcome.ABANDONED
        self._books.tell(
            AttemptEnded(launch, id, chosen.member, chosen.attempt, gone, LOST, WHY_LOST, seconds)
        )
        failed = Outcome.FAILED  # for its visitor; the member had no part in it
        self._books.tell(
            LaunchEnded(launch, id, failed, chosen.member, chosen.attempt, LOST, seconds, at=now)
        )
