"""Server-sent events out of bytes, incrementally and within bounds. Knows no socket and no JSON.

Follows the event stream format of the HTML standard: lines end in LF, CRLF or CR, a blank line ends an event,
a colon starts a comment, `data` lines join with a newline, `id` holds until the next one, other fields are skipped.
"""

from __future__ import annotations

from typing import NamedTuple

from federation.core.errors import Garbled

LARGEST_EVENT = 1 << 20
_LONGEST_ID = 256  # an id that is longer, or no plain ASCII, is none that we could send back


class Sent(NamedTuple):
    """One event: its data, and the id that a client which loses the connection after it would send."""

    data: bytes
    id: str = ""


class EventParser:
    """Feed it chunks as they come; it gives every event that they complete."""

    def __init__(self, largest: int = LARGEST_EVENT) -> None:
        self._largest = largest
        self._line: list[bytes] = []  # pieces of a line whose end has not come
        self._data: list[bytes] = []  # data lines of an event whose end has not come
        self._line_size = 0
        self._data_size = 0
        self._id = ""
        self._after_cr = False
        self._started = False

    @property
    def pending(self) -> bool:
        """Whether the stream would now end in the middle of an event."""
        return bool(self._line or self._data)

    def feed(self, chunk: bytes) -> list[Sent]:
        """The events that this chunk completes. Raises `Garbled` when one exceeds the limit."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *ends, rest = chunk.split(b"\n")
        events: list[Sent] = []
        for end in ends:
            self._hold(end)
            line = self._line[0] if len(self._line) == 1 else b"".join(self._line)
            self._line.clear()
            self._line_size = 0
            self._take(line, events)
        if rest:
            self._hold(rest)
        return events

    def _hold(self, piece: bytes) -> None:
        self._line.append(piece)
        self._line_size += len(piece)
        self._bound()

    def _take(self, line: bytes, events: list[Sent]) -> None:
        """One whole line."""
        if not self._started:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._started = True
        if not line:
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                events.append(Sent(data, self._id))
                self._data.clear()
                self._data_size = 0
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._data_size += len(line)
            self._bound()
        elif name == b"id" and b"\0" not in value:
            text = value.removeprefix(b" ")
            usable = len(text) <= _LONGEST_ID and text.isascii()
            self._id = text.decode("ascii") if usable else ""

    def _bound(self) -> None:
        if self._line_size + self._data_size > self._largest:
            raise Garbled(f"sent an event of more than {self._largest} bytes")
