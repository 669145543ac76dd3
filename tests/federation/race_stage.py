"""A stage for relayed launches without a network: members that say what a test puts into their mouths."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from door_stage import until
from without import NoBudget, NoGit, NoHistory, NoRoom

from federation.core.facts import AttemptEnded, Fact, LaunchEnded
from federation.core.model import Launch, Member, Seats
from federation.core.rules import LaunchRules, PolicyRules, Settings
from federation.core.waiting import Place
from federation.service.audience import Audience
from federation.service.dispatch import Dispatcher
from federation.service.pool import Pool
from federation.service.ports import Entered, Frame, ProbeResult, T, Visitor
from federation.service.refs import Refs
from federation.service.relay_launch import RelayedLaunch, Surroundings

LAUNCH = Launch("gh", "user/repo/HEAD", "gh/user/repo")
READY = {"phase": "ready", "message": "x\n", "url": "http://hub.example/user/x/", "token": "t"}
BUILDING, BUILT, LAUNCHING = (
    {"phase": phase, "message": "x\n"} for phase in ("building", "built", "launching")
)


class SpeakingMembers:
    """`MemberStreams` whose events a test gives: an event, an error to raise, or None for the stream's end."""

    def __init__(self) -> None:
        self.says: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
        self.open_now: Counter[str] = Counter()
        self.opened: list[str] = []
        self.given = 0

    async def open(
        self, member: Member, launch: Launch, visitor: Visitor, after: str = ""
    ) -> AsyncGenerator[Frame, None]:
        self.opened.append(member.name)
        self.open_now[member.name] += 1
        try:
            while (said := await self.says[member.name].get()) is not None:
                if isinstance(said, Exception):
                    raise said
                self.given += 1
                yield Frame(json.dumps(said).encode(), said)
        finally:
            await asyncio.sleep(0.01)  # a close takes its time
            self.open_now[member.name] -= 1


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class Line:
    """A waiting room: who came first enters first, behind so many `others`. `refuse` is raised to all."""

    def __init__(self) -> None:
        self.waiting: list[object] = []
        self.refuse: Exception | None = None
        self.others = 0

    @property
    def crowded(self) -> bool:
        return bool(self.waiting or self.others)

    async def wait(
        self, launch: Launch, visitor: str, audience: Audience, enter: Callable[[], T | None]
    ) -> AsyncGenerator[Place | Entered[T], None]:
        me = object()
        self.waiting.append(me)
        told = 0
        try:
            while True:
                place = self.waiting.index(me) + 1
                if self.refuse is not None:
                    raise self.refuse
                if place == 1 and not self.others and (value := enter()) is not None:
                    yield Entered(value)
                    return
                if place != told:
                    told = place
                    yield Place(place, len(self.waiting), None)
                await asyncio.sleep(0.005)
        finally:
            self.waiting.remove(me)


class Budget(NoBudget):
    """So many further attempts."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.launches = 0

    def launched(self) -> None:
        self.launches += 1

    def granted(self) -> bool:
        self.left -= 1
        return self.left >= 0


class Races:
    """Members in the order of their names, all well, and launches on them."""

    def __init__(self, *names: str, looked_at: bool = True, **rules: Any) -> None:
        self.rules = {"stuck_after": 0.1, "timeout": 20.0} | rules
        members = tuple(
            Member(name, f"http://{name}", 10.0 ** (12 - 6 * index)) for index, name in enumerate(names)
        )
        self.settings = Settings(
            members, launch=LaunchRules(**self.rules), policy=PolicyRules(headroom=0, balance_factor=1e9)
        )
        self.facts: list[Fact] = []
        self.streams = SpeakingMembers()
        self.clock = Clock()
        self.pool = Pool(self.settings, self.clock)
        if looked_at:
            for name in names:
                self.seen(name)
        self.room: Any = NoRoom()
        self.budget: Any = NoBudget()
        self.patience: Any = NoHistory()
        self.audience = Audience()
        self.audience.join()
        refs = Refs(NoGit(), self.facts.append)
        self._dispatcher = Dispatcher(self.pool, lambda: self.settings, lambda: 0.5, refs)

    def seen(self, name: str, used: int | None = None) -> None:
        """One good look; with `used`, at a member of one seat of which so many are taken."""
        seats = None if used is None else Seats(used, 1)
        self.pool.observe(ProbeResult(name, self.clock.now(), True, True, seats=seats))

    @property
    def leases(self) -> int:
        return sum(view.leases for view in self.pool.views())

    @property
    def says(self) -> defaultdict[str, asyncio.Queue[Any]]:
        return self.streams.says

    def say(self, name: str, *events: Any) -> None:
        for said in events:
            self.says[name].put_nowait(said)

    def begin(self, repo: str = "repo") -> Told:
        launch = replace(LAUNCH, spec=f"user/{repo}/HEAD", repo_key=f"gh/user/{repo}")
        around = Surroundings(
            pool=self.pool,
            dispatcher=self._dispatcher,
            streams=self.streams,
            room=self.room,
            budget=self.budget,
            patience=self.patience,
            in_force=lambda: self.settings,
            tell=self.facts.append,
            clock=self.clock,
        )
        return Told(RelayedLaunch(launch, 7, Visitor("192.0.2.1", "https", "x"), self.audience, around))

    def attempts(self) -> list[tuple[str, str, str]]:
        """How each attempt ended."""
        return [(f.member, f.outcome.value, f.cause) for f in self.facts if isinstance(f, AttemptEnded)]

    def end(self) -> LaunchEnded:
        (ended,) = [fact for fact in self.facts if isinstance(fact, LaunchEnded)]
        return ended


class Told:
    """What one visitor reads. Reading pauses while `pace` is not set."""

    def __init__(self, launch: RelayedLaunch) -> None:
        self.events: list[dict[str, Any]] = []
        self.pace = asyncio.Event()
        self.pace.set()
        self.task = asyncio.create_task(self._read(launch))

    async def _read(self, launch: RelayedLaunch) -> None:
        async with aclosing(launch.frames()) as frames:
            async for frame in frames:
                assert json.loads(frame.data) == frame.event
                self.events.append(dict(frame.event))
                await self.pace.wait()

    async def over(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            await self.task
        return self.events

    async def left(self) -> None:
        """The visitor stays away."""
        self.task.cancel()
        await asyncio.wait({self.task}, timeout=10)
        assert self.task.done()

    async def hears(self, words: str) -> dict[str, Any]:
        """Waits for an event whose message has these words."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if words in event.get("message", "")]

        await until(lambda: found() or self.task.done())
        assert found(), self.events
        return found()[0]

    @property
    def members(self) -> list[str]:
        """The members that were tried, in order."""
        return [event["member"] for event in self.events if "attempt" in event]

    @property
    def passed(self) -> list[dict[str, Any]]:
        """What came from members, or ended the launch."""
        return [event for event in self.events if "member" not in event and "position" not in event]
