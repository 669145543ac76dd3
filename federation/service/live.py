"""The live stream of events: everything is made once for all who listen, and nothing while nobody does. Knows no
connection, and what a document holds only as far as it has to tell news from time that goes by.

There are two kinds of listeners, the public and those inside (viewers and operators), and a `Channel` for each. Of the
members there is only ever the newest document, so one who reads slowly skips to it. Of other events the newest
are kept up to a size; who is behind these is told how many were missed. So a listener costs a place in the
stream, and no buffer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from federation.core.live import LEFT_OUT, MEMBERS, frame, left_out, without_ages
from federation.core.tail import Tail
from federation.service.bell import Bell

EVERY = 1.0  # seconds between two documents of the members, at least
AGES_EVERY = 10.0  # seconds after which a document is told again although nothing but ages changed in it
KEPT = 512 * 1024  # bytes of other events, for those who read slowly
MOST_PUBLIC = 500  # listeners
MOST_INSIDE = 100

Make = Callable[[], Mapping[str, Any]]
Encode = Callable[[Any], bytes]


class Crowded(Exception):
    """As many listen as may."""


class Channel:
    """What one kind of listeners is told. `make` gives the members document as it is now, `timer` seconds of any
    clock that only goes forward."""

    def __init__(self, make: Make, encode: Encode, timer: Callable[[], float], most: int) -> None:
        self.bell = Bell()
        self.tail = Tail(KEPT)
        self.number = 0  # of the members document, which grows when there is news in it
        self.encode = encode
        self._make = make
        self._timer = timer
        self._most = most
        self._listeners = 0
        self._document: Mapping[str, Any] = {}
        self._event: bytes | None = None  # the document as an event, once somebody took it
        self._news: dict[str, Any] = {}  # the document with the last news, without ages
        self._looked = self._told = -AGES_EVERY

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return self._listeners > 0

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """A place in the stream as long as the block lasts, with the members as they are now ahead of it. Raises
        `Crowded`."""
        if self._listeners >= self._most:
            raise Crowded
        if self._timer() - self._looked >= EVERY:
            self._look()
        self._listeners += 1
        try:
            yield Listener(self)
        finally:
            self._listeners -= 1

    def members(self) -> bytes:
        """The event that tells how the members stand."""
        if self._event is None:
            self._event = frame(MEMBERS, self.encode(self._document))
        return self._event

    def publish(self, event: bytes) -> None:
        """Tells an event to all who listen now."""
        if self.heard:
            self.tail.append(event)
            self.bell.ring()

    def beat(self) -> None:
        """Looks whether there is news of the members; call it once every `EVERY` seconds."""
        if (
            self.heard and self._timer() - self._looked >= EVERY / 2
        ):  # else somebody just came, and it was looked
            self._look()

    def _look(self) -> None:
        now = self._looked = self._timer()
        self._document, self._event = self._make(), None
        news = without_ages(self._document)
        if news != self._news or now - self._told >= AGES_EVERY:
            self._news, self._told = news, now
            self.number += 1
            self.bell.ring()


class Listener:
    """One listener's place in the stream."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._number = 0  # of the document that it has
        self._event = channel.tail.last  # the last event that it has

    def next(self) -> bytes:
        """All that is new to it, which counts as told then; empty when nothing is."""
        channel = self._channel
        pieces: list[bytes] = []
        if self._number != channel.number:
            self._number = channel.number
            pieces.append(channel.members())
        part = channel.tail.after(self._event)
        self._event = channel.tail.last
        if part.missed:
            pieces.append(frame(LEFT_OUT, channel.encode(left_out(events=part.missed))))
        pieces += part.events
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def news(self) -> None:
        """Returns when there is more. Nothing may be awaited between `next` and this."""
        await self._channel.bell.heard()


class Live:
    """Both channels. `document` gives the members document of the public (False) or of those inside (True)."""

    def __init__(
        self, document: Callable[[bool], Mapping[str, Any]], encode: Encode, timer: Callable[[], float]
    ) -> None:
        self.public = Channel(lambda: document(False), encode, timer, MOST_PUBLIC)
        self.inside = Channel(lambda: document(True), encode, timer, MOST_INSIDE)
        self._encode = encode

    @property
    def heard(self) -> bool:
        """Whether anybody listens. A part whose events are dear to make asks first."""
        return self.public.heard or self.inside.heard

    def publish(self, name: str, document: Any, *, public: bool = True) -> None:
        """Tells an event to all who listen now, or to those inside alone when it is not `public`. A name is a word of
        small letters; the document is whatever JSON can hold."""
        channels = [self.public, self.inside] if public else [self.inside]
        heard = [channel for channel in channels if channel.heard]
        if heard:
            event = frame(name, self._encode(document))
            for channel in heard:
                channel.publish(event)

    def beat(self) -> None:
        """What time alone changes; call it once every `EVERY` seconds."""
        self.public.beat()
        self.inside.beat()
