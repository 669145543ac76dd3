"""Who of those that wait for a seat comes next: a fair queue of launches. Knows no seat, no clock and no waiting.

Turns go by rounds: a visitor has one turn in a round at most, and so has a repository, and within a round it is
first come, first served. A crowd is thereby spread over many rounds, and one who comes alone is in the next.
This is fair queueing: John Nagle, "On packet switches with infinite storage", IEEE Transactions on Communications
35 (1987), and Alan Demers, Srinivasan Keshav, Scott Shenker, "Analysis and simulation of a fair queueing algorithm",
SIGCOMM 1989. Its virtual time is the round that was served last: S. Jamaloddin Golestani, "A self-clocked fair
queueing scheme for broadband applications", INFOCOM 1994. Two queues at once, the visitor's and the
repository's, are our own addition.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from operator import attrgetter


@dataclass(frozen=True, slots=True)
class Entry:
    """One launch that waits. `number` grows with every arrival, `at` is when it came, in seconds."""

    number: int
    repo_key: str
    visitor: str
    at: float


@dataclass(frozen=True, slots=True)
class Turn:
    """An entry and the round that it is served in."""

    round: int
    entry: Entry


_order = attrgetter("round", "entry.number")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one stands: `position` 1 is next, `of` so many. `estimate` is in seconds, None when nothing is known."""

    position: int
    of: int
    estimate: float | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """`turns` are in the order in which they are served, `round` is the latest that was served."""

    turns: tuple[Turn, ...] = ()
    round: int = 0


def joined(queue: Queue, entry: Entry) -> Queue:
    """One more, in the round after the last that its visitor or its repository has a turn in.

    Whoever shares neither with anybody gets the next round and is never overtaken: at most two launches of each
    repository are served first. A crowd's last waits for as many rounds as the crowd has launches, and a round
    never takes in more once it has begun, so that every turn comes.
    """
    last = next((turn.round for turn in reversed(queue.turns) if _share(turn.entry, entry)), 0)
    turn = Turn(1 + max(queue.round, last), entry)
    index = bisect(queue.turns, _order(turn), key=_order)
    return Queue((*queue.turns[:index], turn, *queue.turns[index:]), queue.round)


def served(queue: Queue, number: int) -> Queue:
    """Without this one, who got a seat. Whoever was passed over keeps the own place."""
    index = _index(queue, number)
    rest = queue.turns[:index] + queue.turns[index + 1 :]
    return Queue(rest, max(queue.round, queue.turns[index].round)) if rest else Queue()


def left(queue: Queue, number: int) -> Queue:
    """Without this one, who gave up. Those who stood behind it in its crowd move up, nobody into a later round."""
    index = _index(queue, number)
    visitors: dict[str, int] = {}
    repositories: dict[str, int] = {}
    turns = []
    # Of one visitor or repository, whoever came first is served first: all that count for a turn stand before it.
    for turn in queue.turns[:index] + queue.turns[index + 1 :]:
        entry = turn.entry
        last = max(visitors.get(entry.visitor, 0), repositories.get(entry.repo_key, 0))
        if turn.round > 1 + max(queue.round, last):
            turn = Turn(1 + max(queue.round, last), entry)
        visitors[entry.visitor] = repositories[entry.repo_key] = turn.round
        turns.append(turn)
    return Queue(tuple(sorted(turns, key=_order)), queue.round) if turns else Queue()


def place(queue: Queue, number: int) -> Place:
    """Raises `KeyError` when this number does not wait."""
    return Place(_index(queue, number) + 1, len(queue.turns))


def _index(queue: Queue, number: int) -> int:
    for index, turn in enumerate(queue.turns):
        if turn.entry.number == number:
            return index
    raise KeyError(number)


def _share(one: Entry, other: Entry) -> bool:
    """Whether the two are of one visitor or of one repository."""
    return one.visitor == other.visitor or one.repo_key == other.repo_key
