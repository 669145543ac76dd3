"""The captain: the process that owns what a front door knows, and serves no visitor. Holds no logic of its own.

It binds the listening sockets once and every worker inherits them, so all accept from one queue: a connection that
waits there when a worker ends is taken by another. With SO_REUSEPORT each worker would have a queue of its own, and
what waits in it would be lost with the worker.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path

from aiohttp import web

from federation.app.door import FrontDoor
from federation.app.serving import (
    FRONT_DOOR,
    following,
    make_app,
    make_runner,
    say_ready,
    told_to_stop,
    url_of,
)
from federation.core.facts import Fact, PhaseEnded, Reconfigured, Steered
from federation.service.heartbeat import heartbeat
from federation.settings import load
from federation.web import status
from federation.workers.account import Account, Books
from federation.workers.builds import Elsewhere
from federation.workers.crew import Crew
from federation.workers.feed import EVERY, Feed
from federation.workers.hand import Hand
from federation.workers.listening import bind
from federation.workers.messages import Configured, Heard, Shared, Welcome
from federation.workers.passing import CAPTAIN, believed, door_of
from federation.workers.post import new_mark


class Captain:
    """A front door and its workers. `folder` holds the private sockets."""

    def __init__(self, door: FrontDoor, size: int, folder: Path, listening: list[socket.socket]) -> None:
        self._door = door
        self._folder = folder
        self._listening = listening
        self._numbers = count(1)
        self._builds = Elsewhere(door.dispatcher)
        self.crew = Crew(size, self._start, door.tell)
        self._feed = Feed(door.pool, lambda: self.crew.hands)
        door.subscribe(self._listen)
        door.line = self
        door.metrics.sights.workers = self.crew.strength

    @property
    def waiting(self) -> int:
        """Launches that wait for a seat, in whichever worker."""
        return sum(hand.waiting.launches for hand in self.crew.hands)

    @property
    def longest(self) -> float:
        """Seconds that the one who came first of them has waited."""
        return max((hand.waiting.longest for hand in self.crew.hands), default=0.0)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """All workers serve as long as the block lasts."""
        loop = asyncio.get_running_loop()
        async with heartbeat("feed of the workers", self._feed.send, self._door.tell, every=EVERY):
            try:
                await self.crew.open()
                loop.add_signal_handler(signal.SIGHUP, self.renew)
                yield
            finally:
                loop.remove_signal_handler(signal.SIGHUP)
                await self.crew.close()

    def renew(self) -> None:
        """Replaces all workers, one by one. What is under way in one has as long as a launch may take on a member."""
        self._door.log.say("workers are replaced")
        self.crew.renew(self._door.settings().launch.timeout)

    async def _start(self) -> Hand:
        mark = new_mark()
        account = Account(
            Books(
                self._door.pool,
                self._builds,
                self._door.tell,
                self._door.clock,
                self._numbers,
                partial(self._pass_on, mark),
            )
        )
        return await Hand.start(mark, self._folder, self._listening, account, self._welcome)

    def _welcome(self) -> Welcome:
        return Welcome(self._door.settings(), self._door.patience, self._builds.known())

    def _pass_on(self, mark: str, message: Shared) -> None:
        for hand in self.crew.hands:
            if hand.mark != mark:
                hand.say(message)

    def _listen(self, fact: Fact) -> None:
        match fact:
            case Reconfigured():
                self._say(Configured(self._door.settings()))
                self._say(Heard(fact))
            case Steered():
                self._say(Configured(self._door.settings()))
            case PhaseEnded():
                self._say(Heard(fact))
            case _:
                pass

    def _say(self, message: object) -> None:
        for hand in self.crew.hands:
            hand.say(message)


async def serve(
    config: Path, *, host: str, port: int, workers: int, on_ready: Callable[[str], None] | None = None
) -> None:
    """Runs a front door with so many workers, as `federation.app.serve` does with one process. SIGHUP replaces the
    workers. Raises `WorkerEnded` too, when they do not come to serve."""
    app = make_app(load(config))
    app.middlewares.append(believed)
    door = app[FRONT_DOOR]
    async with AsyncExitStack() as held:
        listening = bind(host, port)
        for one in listening:
            held.callback(one.close)
        folder = Path(tempfile.mkdtemp(prefix="front-door-"))  # nobody else's, as mkdtemp makes it
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        captain = Captain(door, workers, folder, listening)
        app[status.ROOM] = captain
        runner = make_runner(app)
        held.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.UnixSite(runner, str(door_of(folder, CAPTAIN))).start()
        await held.enter_async_context(captain.at_work())
        url = url_of(host, listening[0].getsockname()[1])
        say_ready(door, url, workers=workers)
        if on_ready is not None:
            on_ready(url)
        async with following(config, door):
            await told_to_stop()
