"""Keeps this member's record of use where all members can read it. Knows no registry.

A listener of facts: every launch that got ready is a use, every build a push under way until it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from members.core import usage
from members.core.facts import BuildEnded, BuildStarted, Fact, LaunchEnded, Note, Tell
from members.core.model import RegistryDown
from members.core.usage import Usage


class Records(Protocol):
    """Where records are. All methods raise RegistryDown."""

    async def record(self, tag: str) -> Usage | None: ...

    async def write(self, tag: str, record: Usage) -> None: ...


class Recorder:
    """One member's record: kept in memory, written a while after a change, and at the end."""

    def __init__(
        self,
        records: Records,
        *,
        tag: str,
        member: str,
        tell: Tell,
        clock: Callable[[], float],
        interval: float = 300.0,
        soon: float = 5.0,
    ) -> None:
        """A use is written within `interval` seconds, a beginning build within `soon`. `clock` gives Unix seconds."""
        self._records = records
        self._tag = tag
        self._tell = tell
        self._clock = clock
        self._interval = interval
        self._soon = soon
        self._usage = Usage(member)
        self._remembers = False  # whether what an earlier life of this member recorded was read
        self._due: float | None = None
        self._news = asyncio.Event()
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="usage")

    async def close(self) -> None:
        """Writes what was not written yet."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._usage = Usage(self._usage.member, used=self._usage.used)  # no build outlives its member
        if self._due is not None:
            await self._write()

    def listen(self, fact: Fact) -> None:
        """Takes a fact in; never waits."""
        now = self._clock()
        match fact:
            case LaunchEnded(status="success"):
                self._change(usage.used(self._usage, fact.image, now), self._interval)
            case BuildStarted():
                self._change(usage.push_started(self._usage, fact.image, now), self._soon)
            case BuildEnded():
                ended = usage.push_ended(self._usage, fact.image)
                built = usage.used(ended, fact.image, now) if fact.status == "success" else ended
                self._change(built, self._interval)

    def _change(self, changed: Usage, within: float) -> None:
        self._usage = changed
        due = asyncio.get_running_loop().time() + within
        if self._due is None or due < self._due:
            self._due = due
            self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            pause = None if self._due is None else max(0.0, self._due - asyncio.get_running_loop().time())
            try:
                await asyncio.wait_for(self._news.wait(), pause)
            except TimeoutError:
                await self._write()

    async def _write(self) -> None:
        """A write that fails is tried again after another interval, and told once."""
        due, self._due = self._due, None
        try:
            if not self._remembers:
                earlier = await self._records.record(self._tag)
                self._usage = usage.joined(self._usage, earlier or self._usage)
                self._remembers = True
            await self._records.write(self._tag, usage.at(self._usage, self._clock()))
        except RegistryDown as error:
            if not self._failing:
                self._tell(Note(f"The uses of images cannot be recorded for now: {error}"))
            self._failing = True
            self._change(self._usage, self._interval)
        except asyncio.CancelledError:
            self._due = due  # not written: the end does it
            raise
        else:
            self._failing = False
