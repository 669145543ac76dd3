"""Launches under way, each a task with a log of its own, heard by any number of connections. Knows no HTTP.

A launch belongs to the member, not to the connection that began it: one that is lost may come back and goes
on where it was. A launch that nobody hears for a while is given up, and what it had started is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from members.core import phases
from members.core.eventid import parse_event_id
from members.core.eventlog import EventLog, Stretch
from members.core.facts import Tell, Trouble
from members.core.model import LaunchRequest
from members.core.phases import News
from members.service.bell import Bell
from members.service.ports import Run
from members.service.streams import closing

KEPT = 60.0  # seconds that an ended launch can still be read
MOST_UNHEARD = 200  # launches that may go on unheard; the one unheard longest makes room
MOST_ENDED = 2000
_BREATH = 64  # events after which others get a turn


class Launch:
    """One launch: what it told so far, and who hears it."""

    def __init__(self, id: str, request: LaunchRequest, log_limit: int) -> None:
        self.id = id
        self.request = request
        self.log: EventLog[News] = EventLog(log_limit)
        self.over = False  # nothing more will be told
        self.closing = False  # the member ends, with or without the launch
        self.listeners = 0
        self.taken = 0  # the number of the newest event that was handed to a connection
        self.bell = Bell()

    def tell(self, event: News) -> None:
        self.log.append(event, phases.size(event))
        self.bell.ring()

    def end(self) -> None:
        self.over = True
        self.bell.ring()

    async def until_taken(self, number: int) -> None:
        """Waits until a connection took the event of this number."""
        while self.taken < number:
            await self.bell.heard()

    async def keep_pace(self) -> None:
        """Waits while the next events would push out what no listener has yet: visitors set the pace."""
        while self.listeners and self.log.endangered > self.taken:
            await self.bell.heard()


class Listener:
    """One connection's place in a launch."""

    def __init__(self, launch: Launch, after: int) -> None:
        self._launch = launch
        self._after = min(after, launch.log.last)
        launch.taken = max(launch.taken, self._after)  # who asks for what follows has had the rest
        launch.bell.ring()

    @property
    def id(self) -> str:
        return self._launch.id

    @property
    def over(self) -> bool:
        """Whether everything was taken and nothing will follow."""
        return self._launch.over and self._after >= self._launch.log.last

    @property
    def closing(self) -> bool:
        """Whether the member ends, so that there is no use in waiting."""
        return self._launch.closing

    def next(self) -> Stretch[News]:
        """What follows what was taken; nothing when it has not happened yet."""
        return self._launch.log.after(self._after)

    def took(self, stretch: Stretch[News]) -> None:
        """Tells that these events are on their way. A `ready` that nobody takes is no success."""
        self._after = stretch.last
        if stretch.last > self._launch.taken:
            self._launch.taken = stretch.last
            self._launch.bell.ring()

    async def news(self) -> None:
        """Waits until something happens; `next`, `over` and `closing` tell what."""
        await self._launch.bell.heard()


class Launches:
    """All launches of this member. `stop` lets listeners go; `close` ends what still runs."""

    def __init__(
        self,
        run: Run,
        tell: Tell,
        *,
        new_id: Callable[[], str],
        grace: float,
        kept: float = KEPT,
        log_limit: int,
    ) -> None:
        """`new_id` draws the unguessable name of a launch: 16 to 64 characters of URL-safe base64.

        `log_limit` bytes of each are kept; the lines of a build are objects that all its launches share.
        """
        self._run = run
        self._tell = tell
        self._new_id = new_id
        self._grace = grace
        self._kept = kept
        self._log_limit = log_limit
        self._launches: dict[str, Launch] = {}
        self._tasks: dict[Launch, asyncio.Task[None]] = {}  # those that run
        self._timers: dict[Launch, asyncio.TimerHandle] = {}  # those unheard, then those ended; oldest first
        self._stopping = False

    def begin(self, request: LaunchRequest) -> Launch:
        """A new launch. It goes on for `grace` seconds unless somebody hears it."""
        launch = Launch(self._new_id(), request, self._log_limit)
        launch.closing = self._stopping
        self._launches[launch.id] = launch
        task = asyncio.create_task(self._follow(launch), name="launch")
        self._tasks[launch] = task
        task.add_done_callback(lambda _: self._ended(launch))
        self._unheard(launch)
        return launch

    def find(self, last_event_id: str, request: LaunchRequest) -> tuple[Launch, int] | None:
        """The launch that this id is of, and the number of the event.

        None when it is of no launch that is still known, or of one that was asked for otherwise: an id opens
        nothing but its own launch.
        """
        id = parse_event_id(last_event_id)
        launch = self._launches.get(id.launch) if id is not None else None
        if id is None or launch is None or _wish(launch.request) != _wish(request):
            return None
        return launch, id.number

    @contextmanager
    def listening(self, launch: Launch, after: int = 0) -> Iterator[Listener]:
        """A place in the launch after this event, as long as the block lasts."""
        launch.listeners += 1
        if not launch.over:
            self._unset(launch)
        try:
            yield Listener(launch, after)
        finally:
            launch.listeners -= 1
            launch.bell.ring()
            if launch.listeners == 0 and launch in self._tasks:
                self._unheard(launch)

    def stop(self) -> None:
        """Tells all listeners that the member ends."""
        self._stopping = True
        for launch in self._launches.values():
            launch.closing = True
            launch.bell.ring()

    async def close(self) -> None:
        """Ends every launch and waits until it has let go of what it held."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._launches.clear()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, launch: Launch) -> None:
        try:
            async with closing(self._run(launch.request)) as events:
                async for event in events:
                    launch.tell(event)
                    if phases.is_ready(event):
                        # The next event is asked for only when this one is on its way to somebody; left
                        # before that, the launch removes the session, which nobody knows of.
                        await launch.until_taken(launch.log.last)
                    elif launch.log.last % _BREATH == 0:
                        await asyncio.sleep(0)
                    await launch.keep_pace()
        except Exception as error:
            # The edge of the launch: listeners get a plain end, the log gets the whole error.
            self._tell(Trouble("launch", error))
            launch.tell(phases.refused(500, "Internal Server Error"))

    def _ended(self, launch: Launch) -> None:
        del self._tasks[launch]
        launch.end()
        if launch.id in self._launches:
            self._set(launch, self._kept, self._forget)
            self._make_room(MOST_ENDED, ended=True)

    def _unheard(self, launch: Launch) -> None:
        self._set(launch, self._grace, self._give_up)
        self._make_room(MOST_UNHEARD, ended=False)

    def _make_room(self, most: int, *, ended: bool) -> None:
        if len(self._timers) <= most:
            return
        those = [launch for launch in self._timers if launch.over is ended]
        for launch in those[: max(0, len(those) - most)]:
            self._give_up(launch)

    def _give_up(self, launch: Launch) -> None:
        self._forget(launch)
        if (task := self._tasks.get(launch)) is not None:
            task.cancel()

    def _forget(self, launch: Launch) -> None:
        self._unset(launch)
        self._launches.pop(launch.id, None)

    def _set(self, launch: Launch, seconds: float, then: Callable[[Launch], None]) -> None:
        self._unset(launch)
        self._timers[launch] = asyncio.get_running_loop().call_later(seconds, then, launch)

    def _unset(self, launch: Launch) -> None:
        timer = self._timers.pop(launch, None)
        if timer is not None:
            timer.cancel()


def _wish(request: LaunchRequest) -> tuple[str, str, bool, str | None]:
    """What was asked for, and by whom where visitors log in. An address is nobody: visitors change networks."""
    return request.provider, request.spec, request.build_only, request.user
