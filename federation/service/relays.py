"""Relayed launches under way, each a task with a log, heard by any number of visitors' connections. Knows no HTTP.

A launch belongs to the front door, not to the connection that asked for it: a visitor who lost it comes back
and goes on where it was. A launch that nobody hears for a while is given up, on its member too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Protocol

from federation.core.eventid import parse_event_id
from federation.core.eventlog import EventLog, Stretch
from federation.core.facts import Listener as Tell
from federation.core.facts import LoopFailed
from federation.core.model import Launch
from federation.service.audience import Audience
from federation.service.bell import Bell
from federation.service.ports import Frame, Visitor

KEPT = 60.0  # seconds that an ended launch can still be read
MOST_UNHEARD = 500  # launches that may go on unheard; the one unheard longest makes room
MOST_ENDED = 2000
LOG_LIMIT = 512 * 1024  # bytes for each launch
_FRAME_COST = 64  # bytes an event takes in memory besides its text, roughly


class RunRelay(Protocol):
    """All events of one launch; see `federation.service.launcher.Launcher.relay`."""

    def __call__(
        self, launch: Launch, visitor: Visitor, audience: Audience
    ) -> AsyncGenerator[Frame, None]: ...


class Relay:
    """One relayed launch: what was told so far, and who hears it."""

    def __init__(self, id: str, launch: Launch) -> None:
        self.id = id
        self.launch = launch
        self.log: EventLog[bytes] = EventLog(LOG_LIMIT)
        self.over = False  # nothing more will be told
        self.taken = 0  # the number of the newest event that was written to a connection
        self.audience = Audience()
        self.bell = Bell()

    def tell(self, data: bytes) -> None:
        self.log.append(data, len(data) + _FRAME_COST)
        self.bell.ring()

    def end(self) -> None:
        self.over = True
        self.bell.ring()

    async def keep_pace(self) -> None:
        """Waits while the next events would push out what no listener has yet: visitors set the pace."""
        while self.audience.size and self.log.endangered > self.taken:
            await self.bell.heard()


class Listener:
    """One connection's place in a launch."""

    def __init__(self, relay: Relay, after: int) -> None:
        self._relay = relay
        self._after = 0
        self._reached(min(after, relay.log.last))

    @property
    def id(self) -> str:
        return self._relay.id

    @property
    def over(self) -> bool:
        """Whether everything was taken and nothing will follow."""
        return self._relay.over and self._after >= self._relay.log.last

    def next(self) -> Stretch[bytes]:
        """What follows what was taken; nothing when it has not happened yet."""
        return self._relay.log.after(self._after)

    def took(self, stretch: Stretch[bytes]) -> None:
        self._reached(stretch.last)

    async def news(self) -> None:
        """Waits until something happens; `next` and `over` tell what."""
        await self._relay.bell.heard()

    def _reached(self, number: int) -> None:
        self._after = number
        if number > self._relay.taken:
            self._relay.taken = number
            if self._relay.log.endangered:
                self._relay.bell.ring()


class Relays:
    """All relayed launches. `close` ends those that still run."""

    def __init__(
        self,
        run: RunRelay,
        tell: Tell,
        *,
        new_id: Callable[[], str],
        grace: float,
        kept: float = KEPT,
    ) -> None:
        """`new_id` draws the unguessable name of a launch: 16 to 64 characters of URL-safe base64."""
        self._run = run
        self._tell = tell
        self._new_id = new_id
        self._grace = grace
        self._kept = kept
        self._relays: dict[str, Relay] = {}
        self._tasks: dict[Relay, asyncio.Task[None]] = {}  # those that run
        self._timers: dict[Relay, asyncio.TimerHandle] = {}  # those that run unheard, and those that ended

    @property
    def running(self) -> int:
        """Launches that have not ended."""
        return len(self._tasks)

    def begin(self, launch: Launch, visitor: Visitor) -> Relay:
        """A new launch. It goes on for `grace` seconds unless somebody hears it."""
        relay = Relay(self._new_id(), launch)
        self._relays[relay.id] = relay
        task = asyncio.create_task(self._follow(relay, visitor), name="relay")
        self._tasks[relay] = task
        task.add_done_callback(lambda _: self._ended(relay))
        self._unheard(relay)
        return relay

    def find(self, last_event_id: str, launch: Launch) -> tuple[Relay, int] | None:
        """The launch that this id is of, and the number of the event.

        None when it is of no launch that is still known, or of one that was asked for otherwise: an id opens
        nothing but its own launch.
        """
        id = parse_event_id(last_event_id)
        relay = self._relays.get(id.launch) if id is not None else None
        if id is None or relay is None or _wish(relay.launch) != _wish(launch):
            return None
        return relay, id.number

    @contextmanager
    def listening(self, relay: Relay, after: int = 0) -> Iterator[Listener]:
        """A place in the launch after this event, as long as the block lasts."""
        if not relay.over:
            self._unset(relay)
        relay.audience.join()
        try:
            yield Listener(relay, after)
        finally:
            relay.audience.leave()
            relay.bell.ring()
            if relay.audience.size == 0 and relay in self._tasks:
                self._unheard(relay)

    async def close(self) -> None:
        """Ends every launch and waits until its member's stream is closed."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._relays.clear()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, relay: Relay, visitor: Visitor) -> None:
        try:
            async with aclosing(self._run(relay.launch, visitor, relay.audience)) as frames:
                async for frame in frames:
                    relay.tell(frame.data)
                    await relay.keep_pace()
        except Exception as error:
            # A fault of our own: the visitor gets a plain end, the log gets the whole error.
            self._tell(LoopFailed("relay of a launch", error))
            relay.tell(b'{"phase": "failed", "status_code": 500, "message": "Internal Server Error\\n"}')

    def _ended(self, relay: Relay) -> None:
        del self._tasks[relay]
        relay.end()
        if relay.id in self._relays:
            self._set(relay, self._kept, self._forget)
            self._make_room(MOST_ENDED, ended=True)

    def _unheard(self, relay: Relay) -> None:
        self._set(relay, self._grace, self._give_up)
        self._make_room(MOST_UNHEARD, ended=False)

    def _make_room(self, most: int, *, ended: bool) -> None:
        if len(self._timers) <= most:
            return
        those = [relay for relay in self._timers if relay.over is ended]
        for relay in those[: max(0, len(those) - most)]:
            self._give_up(relay)

    def _give_up(self, relay: Relay) -> None:
        self._forget(relay)
        if (task := self._tasks.get(relay)) is not None:
            task.cancel()

    def _forget(self, relay: Relay) -> None:
        self._unset(relay)
        self._relays.pop(relay.id, None)

    def _set(self, relay: Relay, seconds: float, then: Callable[[Relay], None]) -> None:
        self._unset(relay)
        self._timers[relay] = asyncio.get_running_loop().call_later(seconds, then, relay)

    def _unset(self, relay: Relay) -> None:
        timer = self._timers.pop(relay, None)
        if timer is not None:
            timer.cancel()


def _wish(launch: Launch) -> tuple[str, str, str]:
    """What was asked for; the member that was wished for is none of it."""
    return launch.provider, launch.spec, launch.query
