"""One worker as the captain has it: its process, the channel to it and its account. Knows no other worker."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from federation.workers.account import Account
from federation.workers.channel import Channel
from federation.workers.messages import Picture, Ready, Retire, Stop, Waiting, Welcome
from federation.workers.post import Post

WORKER = (sys.executable, "-m", "federation.workers.worker")
LONGEST_END = 15.0  # seconds from the word to stop, or a closed channel, until the process is killed


class Hand:
    """A running worker. `ready` is set when it serves, or has ended without."""

    def __init__(
        self, post: Post, process: asyncio.subprocess.Process, channel: Channel, account: Account
    ) -> None:
        self.mark = post.mark
        self.ready = asyncio.Event()
        self.serves = False
        self.dismissed = False  # told to end: its end is no surprise
        self.began = asyncio.get_running_loop().time()
        self._door = post.door
        self._process = process
        self._channel = channel
        self._account = account
        self._killing: asyncio.TimerHandle | None = None

    @classmethod
    async def start(
        cls,
        mark: str,
        folder: Path,
        listening: Sequence[socket.socket],
        account: Account,
        welcome: Callable[[], Welcome],
    ) -> Hand:
        """Starts the process, with what `welcome` tells when it runs. Raises OSError when the system refuses."""
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            numbers = tuple(one.fileno() for one in listening)
            post = Post(mark, folder, os.getpid(), theirs.fileno(), numbers)
            process = await asyncio.create_subprocess_exec(
                *WORKER,
                *post.argv(),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(post.channel, *post.listening),
                start_new_session=True,  # Ctrl-C is for the captain, who ends workers in order
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        hand = cls(post, process, await Channel.over(ours), account)
        hand.say(welcome())
        return hand

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def hungry(self) -> bool:
        return self._channel.idle

    @property
    def counted(self) -> int:
        return self._account.counted

    @property
    def waiting(self) -> Waiting:
        """Those who wait for a seat there."""
        return self._account.waiting

    def show(self, picture: Picture) -> None:
        self._channel.send([picture])

    def say(self, message: object) -> None:
        self._channel.send([message])

    def retire(self, limit: float) -> None:
        """Lets it end by itself when nothing is under way there any more, in `limit` seconds at the latest."""
        self.dismissed = True
        self.say(Retire(limit))
        self._kill_in(limit + LONGEST_END)

    def stop(self) -> None:
        self.dismissed = True
        self.say(Stop())
        self._kill_in(LONGEST_END)

    async def attend(self) -> int:
        """Enters what it tells until it has ended; its exit code, negative for a signal. Leaves nothing behind."""
        try:
            while (messages := await self._channel.receive()) is not None:
                for message in messages:
                    if isinstance(message, Ready):
                        self.serves = True
                        self.ready.set()
                    else:
                        self._account.enter(message)
            self._kill_in(LONGEST_END)
            return await self._process.wait()
        finally:
            self._end()

    def _end(self) -> None:
        self._kill()
        if self._killing is not None:
            self._killing.cancel()
        self._account.close()
        self._door.unlink(missing_ok=True)
        self.serves = False
        self.ready.set()

    def _kill_in(self, seconds: float) -> None:
        if self._killing is not None:
            self._killing.cancel()
        self._killing = asyncio.get_running_loop().call_later(seconds, self._kill)

    def _kill(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
