"""A worker: the process that serves visitors. It looks at no member; the captain tells how they stand.

Started by the captain with its mark, the folder of the private sockets, its end of the channel and the listening
sockets, the last two as numbers of inherited descriptors. It ends when the captain says so, or is gone.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvloop
from aiohttp import web

from federation.adapters.clock import SystemClock
from federation.adapters.git_refs import FollowedRefs
from federation.app.launching import Parts, launching, new_id
from federation.app.serving import bare_app, make_runner, pages_for_people
from federation.core.rules import Settings
from federation.service.heartbeat import heartbeat
from federation.service.patience import Patience
from federation.service.refs import Refs
from federation.service.retry_budget import RetryBudget
from federation.service.waiting_room import WaitingRoom
from federation.web import api, launch
from federation.web.keys import Running
from federation.workers.builds import TellingDispatcher
from federation.workers.channel import Channel, unpacked
from federation.workers.follower import Follower
from federation.workers.messages import (
    Began,
    Configured,
    Heard,
    Passed,
    Picture,
    Ready,
    Retire,
    Showed,
    Stop,
    Waiting,
    Welcome,
)
from federation.workers.outbox import Outbox
from federation.workers.passing import Passing, believed
from federation.workers.post import Post

QUIET = 5.0  # seconds until a worker that retires closes connections without a request
LOOK_EVERY = 0.1  # seconds between two looks whether a worker that retires is done
FAREWELL = 5.0  # seconds for the last words to the captain


class Worker:
    """The parts of one worker."""

    def __init__(self, post: Post, channel: Channel, welcome: Welcome) -> None:
        self.running = Running(welcome.settings)
        self.outbox = Outbox(channel)
        self.patience: Patience = welcome.patience
        self.pool = Follower(self.settings, self.outbox.add)
        self.refs = Refs(FollowedRefs(lambda: self.settings().refs), self.outbox.tell)
        self.room = WaitingRoom(self.settings, time.monotonic)
        self.budget = RetryBudget(self.settings, time.monotonic)
        self.pool.when_stirred(self.room.stir)
        self._waiting = Waiting(0, 0.0)  # as told to the captain
        self.dispatcher = TellingDispatcher(
            self.pool,
            self.settings,
            random.random,
            self.refs,
            mark=post.mark,
            send=self.outbox.add,
        )
        self.pictured = asyncio.Event()
        self.ended = asyncio.Event()
        self.retiring: float | None = None  # seconds that are left for it
        self.orphaned = False  # the captain is gone without a word
        self._stopped = False
        self._post = post
        self._channel = channel
        for message in welcome.builds:
            self.dispatcher.elsewhere.take(message)

    def settings(self) -> Settings:
        """The configuration in force."""
        return self.running.settings

    def app(self) -> web.Application:
        """What visitors meet: launches and pages of its own, and the captain's answers to what it alone knows."""
        app = bare_app(self.running, self.pool, SystemClock())
        app.middlewares.extend([believed, Passing(self._post.folder, self._post.mark).middleware])
        app.cleanup_ctx.append(self._at_work)
        app.on_response_prepare.append(self._last_answer)
        app.add_routes([*launch.routes(), *api.routes(), *pages_for_people()])
        return app

    @asynccontextmanager
    async def _at_work(self, app: web.Application) -> AsyncIterator[None]:
        parts = Parts(
            running=self.running,
            pool=self.pool,
            dispatcher=self.dispatcher,
            room=self.room,
            budget=self.budget,
            patience=self.patience,
            tell=self.outbox.tell,
            clock=app[api.CLOCK],
            new_id=lambda: self._post.mark + new_id(),
        )
        async with (
            self.refs,
            heartbeat("heartbeat of a worker", self._beat, self.outbox.tell),
            launching(app, parts),
        ):
            yield

    def _beat(self) -> None:
        now = Waiting(self.room.waiting, self.room.longest)
        if now != self._waiting:
            self._waiting = now
            self.outbox.add(now)

    async def hear(self) -> None:
        """Takes in what the captain says, to its end."""
        try:
            while (messages := await self._channel.receive()) is not None:
                for message in messages:
                    self._take(message)
            self.orphaned = not self._stopped
        finally:
            self.ended.set()  # whoever does not hear the captain any more must not go on by an old picture

    def stop(self) -> None:
        """Ends now, as a front door stops."""
        self.retiring, self._stopped = None, True
        self.ended.set()

    def _take(self, message: object) -> None:
        match message:
            case Picture():
                self.pool.take_over(message, unpacked(message.shown))
                self.pictured.set()
            case Began() | Passed() | Showed():
                self.dispatcher.elsewhere.take(message)
            case Heard(fact):
                self.patience.listen(fact)
                self.dispatcher.listen(fact)
            case Configured(settings):
                self.running.settings = settings
            case Retire(limit):
                self.retiring = limit
                self.ended.set()
            case Stop():
                self.stop()
            case _:
                raise TypeError(f"no message of the captain: {message!r}")

    async def _last_answer(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """While it retires, the connection of each answer is closed after it, so that the next one goes elsewhere."""
        if self.retiring is not None:
            response.force_close()
            response.headers["Connection"] = "close"


async def work(post: Post) -> None:
    """Serves until it is told to end."""
    channel = await Channel.over(socket.socket(fileno=post.channel))
    first = await channel.receive()
    if first is None:
        return
    worker = Worker(post, channel, first[0])
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    async with asyncio.TaskGroup() as group:
        hearing = group.create_task(
            worker.hear(), name="channel"
        )  # its failure ends the process, with the reason
        try:
            await _served(worker, post)
        finally:
            worker.outbox.flush()
            await channel.close(FAREWELL)
            hearing.cancel()
            if worker.orphaned:
                await _tidy_up(post)


async def _tidy_up(post: Post) -> None:
    """Removes the folder that the captain left, if that is really gone: a moment passes between the end of its
    connections and its own."""
    for _ in range(20):
        if os.getppid() != post.captain:
            shutil.rmtree(post.folder, ignore_errors=True)
            return
        await asyncio.sleep(0.05)


async def _served(worker: Worker, post: Post) -> None:
    runner = make_runner(worker.app())
    await runner.setup()
    try:
        await web.UnixSite(runner, str(post.door)).start()
        if not await _pictured(worker):
            return
        public = [
            web.SockSite(runner, socket.socket(fileno=number), backlog=1024) for number in post.listening
        ]
        for site in public:
            await site.start()
        worker.outbox.add(Ready())
        await worker.ended.wait()
        if worker.retiring is not None:
            runner.quick = False
            for site in public:
                await site.stop()
            await _retired(worker, runner)
    finally:
        await runner.cleanup()


async def _pictured(worker: Worker) -> bool:
    """Whether there is a picture of the members before the end."""
    ended = asyncio.create_task(worker.ended.wait())
    pictured = asyncio.create_task(worker.pictured.wait())
    await asyncio.wait({ended, pictured}, return_when=asyncio.FIRST_COMPLETED)
    for task in (ended, pictured):
        task.cancel()
    return worker.pictured.is_set()


async def _retired(worker: Worker, runner: web.AppRunner) -> None:
    """Returns when nothing is under way any more, the time is over, or the captain says stop or is gone."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert runner.server is not None
    relays = runner.app[launch.RELAYS]
    while worker.retiring is not None and not worker.orphaned:
        past = loop.time() - begun
        if past > worker.retiring:
            return
        if not relays.running and (not runner.server.connections or past > QUIET):
            return
        await asyncio.sleep(LOOK_EVERY)


def main() -> None:
    post = Post.read(sys.argv[1:])
    with suppress(KeyboardInterrupt):
        uvloop.run(work(post))


if __name__ == "__main__":
    main()
