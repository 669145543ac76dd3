"""The last launches with all that was decided about them, in memory. Knows no page and no file.

Listening is cheap: facts are immutable and kept as they are, texts are made when somebody asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from federation.core.decisions import Record, Told, concerns, wanted
from federation.core.facts import AttemptEnded, Chosen, Fact, LaunchEnded, Outcome, Overdue, Redirected
from federation.core.model import Decision, Launch, MemberView
from federation.service.dispatch import InForce
from federation.service.ports import Clock

MOST_UNDER_WAY = 10_000  # launches without an end that are remembered although newer ones pushed them out
MOST_LOOKED_AT = 20_000  # launches that one question looks at

Views = tuple[MemberView, ...]
Explain = Callable[[Launch, Views], Decision]


class Handed(Protocol):
    """A launch that was handed to a member at once, which is its end here. `views` are the members as they stood
    then: the decision is worked out from them when somebody asks."""

    @property
    def launch(self) -> Launch: ...
    @property
    def id(self) -> int: ...
    @property
    def view(self) -> MemberView: ...
    @property
    def views(self) -> Views: ...
    @property
    def at(self) -> float: ...


class _Story:
    """What is kept of one launch."""

    __slots__ = ("at", "id", "launch", "told")

    def __init__(self, id: int, launch: Launch, at: float) -> None:
        self.id = id
        self.launch = launch
        self.at = at
        self.told: list[Told] = []

    def record(self) -> Record:
        return Record(self.id, self.launch, self.at, tuple(self.told))


@dataclass(frozen=True, slots=True)
class Page:
    """Launches, newest first. `next` is the `before` of the question that goes on, None when there is no more."""

    records: tuple[Record, ...]
    next: int | None


class Decisions:
    """A listener that remembers the `decisions.keep` launches with the highest numbers.

    `explain` makes the decision of a launch that was handed over; `ended` is told each launch that has ended, as
    long as a file for them is configured.
    """

    def __init__(
        self,
        in_force: InForce,
        clock: Clock,
        explain: Explain | None = None,
        ended: Callable[[Record], None] | None = None,
    ) -> None:
        self._in_force = in_force
        self._clock = clock
        self._explain = explain
        self._ended = ended
        self._ids: deque[int] = deque()  # those of `_kept`, ascending
        self._kept: dict[int, _Story | Handed] = {}
        self._under_way: dict[int, _Story] = {}

    def listen(self, fact: Fact) -> None:
        match fact:
            case Redirected():
                self.handed(fact)
            case Chosen():
                story = self._known(fact.id) or self._begun(fact.id, fact.decision.launch, fact.at)
                story.told.append(fact)
            case LaunchEnded():
                story = self._known(fact.id) or self._new(fact.id, fact.launch, 0.0)
                story.told.append(fact)
                self._under_way.pop(fact.id, None)
                self._tell_ended(story)
            case AttemptEnded() | Overdue():
                known = self._known(fact.id)
                if known is not None:
                    known.told.append(fact)
            case _:
                pass

    def handed(self, fact: Handed) -> None:
        """Remembers a launch that was handed over."""
        self._keep(fact.id, fact)
        self._tell_ended(fact)

    def find(self, id: int) -> Record | None:
        """The launch with this number, if it is remembered."""
        story = self._kept.get(id)
        return None if story is None else self._record(story)

    def of(
        self,
        *,
        spec: str = "",
        member: str = "",
        outcome: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> Page:
        """Launches whose spec or repository key begins with `spec`, that went to `member` and ended with
        `outcome`, as far as these are given; with numbers below `before`, `limit` of them at most."""
        beginning = wanted(spec)
        found: list[Record] = []
        looked_at, last = 0, 0
        for id in reversed(self._ids):
            if before is not None and id >= before:
                continue
            if len(found) == limit or looked_at == MOST_LOOKED_AT:
                return Page(tuple(found), last)
            looked_at, last = looked_at + 1, id
            story = self._kept[id]
            if beginning and not concerns(story.launch, beginning):
                continue
            if member and not _went_to(story, member):
                continue
            if not outcome or _outcome(story) == outcome:
                found.append(self._record(story))
        return Page(tuple(found), None)

    def _known(self, id: int) -> _Story | None:
        story = self._under_way.get(id) or self._kept.get(id)
        return story if isinstance(story, _Story) else None

    def _begun(self, id: int, launch: Launch, at: float) -> _Story:
        """A new launch whose end is still to come."""
        story = self._under_way[id] = self._new(id, launch, at)
        if len(self._under_way) > MOST_UNDER_WAY:
            del self._under_way[next(iter(self._under_way))]
        return story

    def _new(self, id: int, launch: Launch, at: float) -> _Story:
        story = _Story(id, launch, at or self._clock.now())
        self._keep(id, story)
        return story

    def _keep(self, id: int, story: _Story | Handed) -> None:
        ids = self._ids
        if not ids or id > ids[-1]:
            ids.append(id)
        else:  # only who waited comes out of turn
            ids.insert(len(ids) - sum(1 for _ in takewhile(lambda other: other > id, reversed(ids))), id)
        self._kept[id] = story
        keep = self._in_force().decisions.keep
        while len(ids) > keep:
            del self._kept[ids.popleft()]

    def _tell_ended(self, story: _Story | Handed) -> None:
        if self._ended is not None and self._in_force().decisions.file is not None:
            self._ended(self._record(story))

    def _record(self, story: _Story | Handed) -> Record:
        if isinstance(story, _Story):
            return story.record()
        launch, id, name = story.launch, story.id, story.view.member.name
        told: list[Told] = []
        if self._explain is not None:
            told.append(Chosen(self._explain(launch, story.views), id, name, 1, story.at))
        told.append(LaunchEnded(launch, id, Outcome.REDIRECTED, name, 1, "redirected", 0.0))
        return Record(id, launch, story.at, tuple(told))


def _went_to(story: _Story | Handed, member: str) -> bool:
    if isinstance(story, _Story):
        return any(isinstance(fact, Chosen) and fact.member == member for fact in story.told)
    return story.view.member.name == member


def _outcome(story: _Story | Handed) -> str:
    return story.record().outcome if isinstance(story, _Story) else Outcome.REDIRECTED.value
