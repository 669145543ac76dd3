from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.waiting import Entry, Place, Queue, joined, left, place, served

WHO = st.tuples(st.sampled_from("rstu"), st.sampled_from("vwxyz"))  # repository and visitor
MOVES = st.lists(
    st.one_of(WHO, st.tuples(st.sampled_from(["served", "left"]), st.integers(0, 99))), max_size=40
)


def queue_of(*who: tuple[str, str], first: int = 1) -> Queue:
    queue = Queue()
    for number, (repo, visitor) in enumerate(who, first):
        queue = joined(queue, Entry(number, repo, visitor, float(number)))
    return queue


def order(queue: Queue) -> list[int]:
    return [turn.entry.number for turn in queue.turns]


def after(moves: Iterable[tuple[str, str] | tuple[str, int]]) -> Queue:
    """Served is always the first one, whatever the number; left is any."""
    queue, number = Queue(), 0
    for what, which in moves:
        if isinstance(which, str):
            number += 1
            queue = joined(queue, Entry(number, what, which, float(number)))
        elif queue.turns:
            index = 0 if what == "served" else which % len(queue.turns)
            queue = (served if what == "served" else left)(queue, queue.turns[index].entry.number)
    return queue


def alone(number: int) -> Entry:
    return Entry(number, f"own {number}", f"own {number}", float(number))


def test_strangers_are_served_as_they_came() -> None:
    queue = queue_of(*((f"r{n}", f"v{n}") for n in range(20)))
    assert order(queue) == list(range(1, 21))
    assert place(queue, 7) == Place(7, 20)
    with pytest.raises(KeyError):
        place(queue, 21)


@pytest.mark.parametrize("crowd", ["repository", "visitor"])
def test_a_crowd_is_spread_among_the_others(crowd: str) -> None:
    of_crowd = [("r", f"c{n}") if crowd == "repository" else (f"c{n}", "v") for n in range(4)]
    queue = queue_of(*of_crowd, ("a", "a"), ("b", "b"), ("a", "d"))
    assert order(queue) == [1, 5, 6, 2, 7, 3, 4]
    served_in_turn = []
    while queue.turns:
        served_in_turn.append(queue.turns[0].entry.number)
        queue = served(queue, served_in_turn[-1])
    assert served_in_turn == [1, 5, 6, 2, 7, 3, 4]


def test_two_crowds_take_turns() -> None:
    queue = queue_of(*[("r", f"v{n}") for n in range(3)], *[("s", f"w{n}") for n in range(3)])
    assert order(queue) == [1, 4, 2, 5, 3, 6]


def test_who_is_passed_over_keeps_the_place() -> None:
    queue = queue_of(("r", "a"), ("r", "b"), ("s", "c"), ("r", "d"))
    assert order(queue) == [1, 3, 2, 4]
    queue = served(queue, 2)
    assert order(joined(queue, alone(5))) == [1, 3, 4, 5]


def test_a_crowd_moves_up_when_one_of_it_leaves() -> None:
    queue = queue_of(("r", "a"), ("r", "b"), ("r", "c"), ("s", "d"), ("s", "e"))
    assert order(queue) == [1, 4, 2, 5, 3]
    assert order(left(queue, 1)) == [2, 4, 3, 5]


@given(st.lists(WHO, max_size=30), st.data())
def test_one_who_gave_up_leaves_no_trace(who: list[tuple[str, str]], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(1, max(1, len(who)))))
    queue, never = queue_of(*who), Queue()
    for number in gone & set(order(queue)):
        queue = left(queue, number)
    for number, (repo, visitor) in enumerate(who, 1):
        if number not in gone:
            never = joined(never, Entry(number, repo, visitor, float(number)))
    assert queue == never


@given(MOVES)
def test_a_round_has_one_turn_of_each_at_most_and_nobody_is_lost(moves: list[tuple[str, str]]) -> None:
    queue = after(moves)
    for of in ("repo_key", "visitor"):
        turns = [(turn.round, getattr(turn.entry, of)) for turn in queue.turns]
        assert len(turns) == len(set(turns))
    assert [turn.round for turn in queue.turns] == sorted(turn.round for turn in queue.turns)
    came = sum(isinstance(which, str) for _, which in moves)
    assert len(set(order(queue))) == len(queue.turns) <= came


@given(MOVES, st.lists(WHO, min_size=10, max_size=10))
def test_one_who_comes_alone_is_served_soon_and_never_overtaken(
    moves: list[tuple[str, str]], later: list[tuple[str, str]]
) -> None:
    queue = after(moves)
    repositories = {turn.entry.repo_key for turn in queue.turns}
    me = alone(1000)
    queue = joined(queue, me)
    position = place(queue, me.number).position
    assert position <= 1 + 2 * len(repositories)
    for number, (repo, visitor) in enumerate(later, 1001):
        queue = joined(queue, Entry(number, repo, visitor, float(number)))
        assert place(queue, me.number).position == position
        first = queue.turns[0].entry
        queue = served(queue, first.number)
        if first == me:
            break
        position -= 1
        assert place(queue, me.number).position == position
    else:
        pytest.fail("never served")


@given(st.integers(1, 8), st.integers(0, 12), st.integers(1, 2))
def test_a_crowd_is_served_though_others_come_without_end(crowd: int, others: int, coming: int) -> None:
    """Each round takes in whoever came during the one before, up to the room's places, and then it is over."""
    places = crowd + others + 30
    queue = queue_of(*[("r", f"c{n}") for n in range(crowd)])
    for number in range(100, 100 + others):
        queue = joined(queue, alone(number))
    number, admissions = 1000, 0
    while any(turn.entry.repo_key == "r" for turn in queue.turns):
        for _ in range(min(coming, places - len(queue.turns))):
            number += 1
            queue = joined(queue, alone(number))
        queue = served(queue, queue.turns[0].entry.number)
        admissions += 1
        assert admissions <= (crowd + 1) * places


@given(MOVES)
def test_a_stranger_is_forgotten_and_an_empty_queue_begins_anew(moves: list[tuple[str, str]]) -> None:
    queue = after(moves)
    for number in order(queue):
        queue = served(queue, number)
    assert queue == Queue()


@given(MOVES, st.integers(0, 99))
def test_leaving_puts_nobody_into_a_later_round(moves: list[tuple[str, str]], which: int) -> None:
    queue = after(moves)
    if not queue.turns:
        return
    before = {turn.entry.number: turn.round for turn in queue.turns}
    queue = left(queue, queue.turns[which % len(queue.turns)].entry.number)
    assert all(turn.round <= before[turn.entry.number] for turn in queue.turns)
