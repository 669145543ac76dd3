"""What operators set for members: who may have changed it meanwhile, keeping it, its end. Knows no file and no request.

A change is kept in the store before it is in force, so that it survives whatever comes. Its end needs no store: it is
in force at its time, and kept as soon as the store takes it; a store that still has it has it with its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Coroutine, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from federation.core.facts import Listener, LoopFailed, Steered
from federation.core.model import Member
from federation.core.steering import (
    LASTING,
    NOTHING_SET,
    Change,
    Edit,
    Override,
    Overrides,
    Word,
    applied,
    edited,
    tag,
    with_one,
)
from federation.service.ports import Clock, OverrideStore

ENDED = "ended by itself"
AGAIN = 30.0  # seconds until the store is tried again for what ended by itself


class NoSuchMember(Exception):
    """The configuration has no member of this name."""


class ChangedMeanwhile(Exception):
    """Something else is set for the member than the operator knew."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who wants a change, and why: see `federation.core.steering.Change`."""

    who: str
    by: str = ""
    reason: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Changes, newest first; `next` is the `before` of the page after it, None when this is the last."""

    changes: tuple[Change, ...]
    next: int | None


class Steering:
    """`async with` it before the first launch: what was kept is in force within the block. `configured` are the members
    as the configuration has them, `apply` brings what is set into force."""

    def __init__(
        self,
        store: OverrideStore,
        clock: Clock,
        configured: Callable[[], Iterable[Member]],
        apply: Callable[[], object],
        tell: Listener,
    ) -> None:
        self._store = store
        self._clock = clock
        self._configured = configured
        self._apply = apply
        self._tell = tell
        self._overrides: Overrides = {}
        self._owed: list[Change] = []  # in force, and not kept yet
        self._again = 0.0  # when the store is tried for them, on the loop's clock
        self._failing = False
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Steering:
        try:
            loaded = await self._store.load()
        except OSError as error:  # the front door serves nevertheless; the store takes no change then
            self._tell(LoopFailed("overrides", error))
            return self
        for note in loaded.notes:
            self._tell(LoopFailed("overrides", ValueError(note)))
        self._overrides = loaded.overrides
        if self._overrides:
            self._apply()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)  # each within the store's own limit

    # What readers see.

    def applied(self, members: Iterable[Member]) -> tuple[Member, ...]:
        """The members as they are to be now."""
        return applied(members, self._overrides, self._clock.now())

    def override(self, member: str) -> Override:
        """What is set for this member now."""
        return self._overrides.get(member, NOTHING_SET).now(self._clock.now())

    def configured_weight(self, member: str) -> float | None:
        """None when the configuration has no such member."""
        return next((one.weight for one in self._configured() if one.name == member), None)

    def tag(self, member: str) -> str:
        """See `federation.core.steering.tag`. Raises `NoSuchMember`."""
        weight = self.configured_weight(member)
        if weight is None:
            raise NoSuchMember(member)
        return tag(weight, self.override(member))

    async def audit(self, before: int | None, limit: int) -> Page:
        """Raises OSError when the store cannot tell."""
        try:
            found = await self._store.changes(before, limit + 1)
        except OSError as error:
            self._tell(LoopFailed("audit", error))
            raise
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    # What changes it.

    async def steer(
        self, member: str, edits: Iterable[Edit], signature: Signature, known: Container[str] | None = None
    ) -> None:
        """Makes the edits, unless something else is set than what `known` are the tags of; None: whatever is set.

        Raises `NoSuchMember`, `ChangedMeanwhile`, and OSError when it cannot be kept: nothing has changed then. Who
        leaves while it is made leaves it to be made.
        """
        try:
            await asyncio.shield(self._held(self._steer(member, tuple(edits), signature, known)))
        except OSError as error:
            self._tell(LoopFailed("overrides", error))
            raise

    def tick(self) -> None:
        """What time alone changes. Call it about once a second."""
        if self._turn.locked():  # a change is being made, and soon over
            return
        self._end()
        if self._owed and asyncio.get_running_loop().time() >= self._again:
            self._again = asyncio.get_running_loop().time() + AGAIN
            self._held(self._keep_ends())

    async def _steer(
        self, member: str, edits: tuple[Edit, ...], signature: Signature, known: Container[str] | None
    ) -> None:
        async with self._turn:
            self._end()
            await self._keep_owed()
            if known is not None and self.tag(member) not in known:
                raise ChangedMeanwhile(member)
            if self.configured_weight(member) is None:
                raise NoSuchMember(member)
            now, before = self._clock.now(), self._overrides.get(member, NOTHING_SET)
            until = signature.until if any(isinstance(edit, LASTING) for edit in edits) else None
            word = Word(signature.by or signature.who, signature.reason, now, until)
            after = edited(before, edits, word)
            if after == before:
                return
            who, by, reason = signature.who, signature.by, signature.reason
            overrides = with_one(self._overrides, member, after)
            await self._store.commit(overrides, Change(now, who, by, member, before, after, reason, until))
            self._overrides = overrides
            self._apply()
            self._tell(Steered(member, word.by, before, after, reason, now))

    def _end(self) -> None:
        """Brings it into force that something has come to its end."""
        now = self._clock.now()
        ended = {name: left for name, one in self._overrides.items() if (left := one.now(now)) != one}
        if not ended:
            return
        changes = [
            Change(now, "", "", name, self._overrides[name], left, ENDED) for name, left in ended.items()
        ]
        for name, left in ended.items():
            self._overrides = with_one(self._overrides, name, left)
        self._owed += changes
        self._apply()
        for change in changes:
            self._tell(Steered(change.member, "", change.before, change.after, ENDED, now))

    async def _keep_owed(self) -> None:
        while self._owed:
            await self._store.commit(self._overrides, self._owed[0])
            del self._owed[0]

    async def _keep_ends(self) -> None:
        async with self._turn:
            try:
                await self._keep_owed()
                self._failing = False
                self._again = 0.0
            except Exception as error:
                if not self._failing:
                    self._tell(LoopFailed("overrides", error))
                self._failing = True

    def _held(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="steering")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may wait any more
