"""A worker's messages to the captain, gathered for a moment and sent together. Knows no message."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from traceback import format_exception

from federation.core.facts import Fact, LoopFailed
from federation.workers.channel import Channel
from federation.workers.messages import Told

GATHERED = 0.01  # seconds; the views of the members are then packed once for all launches of that time


class Fault(Exception):
    """A fault of a worker, as the text that its process made of it: tracebacks do not travel."""


class Outbox:
    """In the order in which they were added."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: list[object] = []

    def add(self, message: object) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_later(GATHERED, self.flush)
        self._waiting.append(message)

    def tell(self, fact: Fact) -> None:
        """A listener for facts."""
        if isinstance(fact, LoopFailed):
            fact = replace(fact, error=Fault("".join(format_exception(fact.error))))
        self.add(Told(fact))

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._channel.send(waiting)
