"""Messages between the captain and one worker, over a pair of sockets. Knows no message.

A frame is a length of four bytes and a pickle of as many bytes. A pickle can run code where it is read: these come
from a parent or its own child over a pair of sockets that has no name, so nobody else can send one.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any

_LENGTH = struct.Struct(">I")
LONGEST = 256 * 1024 * 1024  # bytes of one frame
MOST_UNREAD = 256 * 1024 * 1024  # bytes that may wait for the other side; one that reads nothing is given up


class Channel:
    """One end. Whoever is at the other end is gone when `receive` gives None."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        return cls(*await asyncio.open_unix_connection(sock=end))

    @property
    def idle(self) -> bool:
        """Whether everything that was sent is on its way, so that something newer can follow at once."""
        return self._writer.transport.get_write_buffer_size() == 0

    def send(self, messages: Sequence[object]) -> None:
        """Never waits and never raises: a side that is gone, or reads nothing, shows in `receive`."""
        if self._writer.is_closing():
            return
        data = packed(messages)
        self._writer.write(_LENGTH.pack(len(data)))
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > MOST_UNREAD:
            self._writer.transport.abort()

    async def receive(self) -> Sequence[Any] | None:
        """The next messages; None when none will come any more."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > LONGEST:
                return None
            told: Sequence[Any] = pickle.loads(await self._reader.readexactly(length))
            return told
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def close(self, limit: float) -> None:
        """Lets what was sent go out, for so many seconds at most."""
        try:
            async with asyncio.timeout(limit):
                self._writer.close()
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()


class _Pickler(pickle.Pickler):
    """Packs a dataclass as the call that makes it again, a third of what the usual way takes, and read-only mappings,
    which the usual way refuses."""

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if (values := _values_of(kind)) is not None:  # type: ignore[arg-type]
            return kind, values(value)
        if kind is MappingProxyType:
            return _read_only, (dict(value),)
        return NotImplemented


@cache
def _values_of(kind: type) -> Callable[[Any], tuple[Any, ...]] | None:
    """What makes a dataclass's arguments of it; None for what is none, or is not made of its fields alone."""
    if not is_dataclass(kind) or not all(field.init and not field.kw_only for field in fields(kind)):
        return None
    names = [field.name for field in fields(kind)]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    """Pickle finds this function by its name, but not the class itself."""
    return MappingProxyType(values)


def packed(told: object) -> bytes:
    """What `unpacked` makes the same again of. Raises whatever a value raises that cannot be packed."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(told)
    return buffer.getvalue()


def unpacked(data: bytes) -> Any:
    return pickle.loads(data)
