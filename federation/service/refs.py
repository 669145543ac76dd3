"""What refs mean now, remembered for a short time and found out beside the launches. Knows no git.

A ref that nobody knows costs nothing but a guess: no launch fails for it and none has to wait. So whatever
goes wrong here ends in "not known", and for a while in no further question.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from federation.core.facts import Listener, LoopFailed
from federation.core.model import Launch
from federation.core.versions import Event, Lookup, lookup, pinned, spelling, told_commit
from federation.service.ports import RefSource

LIFETIME = 60.0  # seconds that a commit is taken for what a ref means; asked anew from half of it on
UNKNOWN = 15.0  # seconds without a further question about a ref that was not found
TIME_LIMIT = 15.0  # seconds for one question, the wait for its turn included
AT_ONCE = 4
MOST_PENDING = 64  # questions asked or waiting; further ones are not asked
MOST_KEPT = 4096

Learned = Callable[[Launch, str], None]


@dataclass(frozen=True, slots=True)
class _Answer:
    commit: str | None
    at: float


class Refs:
    """The commits of launches' refs. Close it, or leave its block, to end the questions under way."""

    def __init__(
        self,
        source: RefSource,
        tell: Listener,
        *,
        now: Callable[[], float] = time.monotonic,
        at_once: int = AT_ONCE,
        time_limit: float = TIME_LIMIT,
        most_kept: int = MOST_KEPT,
    ) -> None:
        """`now` counts seconds from anywhere. `tell` hears of faults of the source's own."""
        self._source = source
        self._tell = tell
        self._now = now
        self._turns = asyncio.Semaphore(at_once)
        self._time_limit = time_limit
        self._most_kept = most_kept
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._questions: dict[str, asyncio.Task[None]] = {}
        self._listeners: list[Learned] = []
        self._closed = False

    async def __aenter__(self) -> Refs:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def subscribe(self, listener: Learned) -> None:
        """`listener` is told of every ref that becomes known, by a launch that has it."""
        self._listeners.append(listener)

    def known(self, launch: Launch) -> str | None:
        """The commit of this launch, if that is known now. Never waits, never asks."""
        commit = pinned(launch)
        if commit is not None:
            return commit
        answer = self._remembered(spelling(launch))
        return None if answer is None else answer.commit

    def learn(self, launch: Launch, event: Event) -> None:
        """Takes the commit from what a member tells of a launch, where nothing is known: a launch that began
        long ago tells of what its ref meant then."""
        commit = told_commit(launch, event)
        if commit is not None and self.known(launch) is None:
            self._remember(launch, commit)

    def resolve_soon(self, launch: Launch) -> None:
        """Has the source asked in the background, if that helps: not for what was asked lately."""
        key = spelling(launch)
        if self._closed or key in self._questions or len(self._questions) >= MOST_PENDING:
            return
        answer = self._remembered(key)
        if answer is not None and (answer.commit is None or self._now() - answer.at < LIFETIME / 2):
            return
        asked = lookup(launch)
        if asked is None:
            return
        task = asyncio.create_task(self._ask(launch, asked), name="resolution of a ref")
        self._questions[key] = task
        task.add_done_callback(lambda _: self._questions.pop(key, None))

    async def resolved(self, launch: Launch, within: float) -> str | None:
        """The commit of this launch, asked for if need be; None when it is not known within so many seconds."""
        commit = self.known(launch)
        self.resolve_soon(launch)
        if commit is None and (question := self._questions.get(spelling(launch))) is not None:
            await asyncio.wait({question}, timeout=within)
            commit = self.known(launch)
        return commit

    async def close(self) -> None:
        """Ends all questions, and waits until they have ended. Asks none any more."""
        self._closed = True
        questions = list(self._questions.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    async def _ask(self, launch: Launch, asked: Lookup) -> None:
        commit = None
        try:
            async with asyncio.timeout(self._time_limit), self._turns:
                commit = await self._source.resolve(asked.url, asked.names)
        except TimeoutError:
            pass
        except Exception as error:  # of our own: a source that cannot tell says None
            self._tell(LoopFailed("resolution of a ref", error))
        if commit is not None or self.known(launch) is None:
            self._remember(launch, commit)

    def _remembered(self, key: str) -> _Answer | None:
        answer = self._answers.get(key)
        if answer is None:
            return None
        if self._now() - answer.at >= (UNKNOWN if answer.commit is None else LIFETIME):
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        return answer

    def _remember(self, launch: Launch, commit: str | None) -> None:
        key = spelling(launch)
        self._answers[key] = _Answer(commit, self._now())
        self._answers.move_to_end(key)
        while len(self._answers) > self._most_kept:
            self._answers.popitem(last=False)
        if commit is not None:
            for listener in self._listeners:
                listener(launch, commit)
