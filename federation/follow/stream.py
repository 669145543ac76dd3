"""One connection to a launch's event stream, read from a front door. Knows no terminal and judges no launch."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from federation.core.errors import Garbled
from federation.core.phases import decode
from federation.core.sse import EventParser

_CONNECT = 10.0  # seconds until the front door accepts
_SILENCE = 90.0  # seconds without a byte; a living stream sends a comment every 25
_ACCEPT = {"Accept": "text/event-stream"}


class Unreachable(Exception):
    """There is no answer, or none that is a launch's event stream; the message is for the user."""


class BrokenOff(Unreachable):
    """The stream ended before the launch did."""


class Forgotten(BrokenOff):
    """The launch that was to be gone on with is over, and its end was told before."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One event. `id` names it for who loses the connection after it, empty for none; `at` is the address that
    told it: a front door may send its launches elsewhere."""

    event: dict[str, Any]
    id: str
    at: str


async def events(url: str, after: str = "") -> AsyncGenerator[Heard, None]:
    """The events of the launch at this URL, those after the one with this id, until the server ends the stream.

    Raises Unreachable, BrokenOff when at least the stream itself had begun.
    """
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT, sock_read=_SILENCE)
    headers = _ACCEPT | ({"Last-Event-ID": after} if after else {})
    begun = False
    try:
        async with (
            # A spec travels as it was written: one that is encoded anew is another launch.
            aiohttp.ClientSession(timeout=timeout, requote_redirect_url=False) as session,
            session.get(URL(url, encoded=True), headers=headers) as response,
        ):
            _check(response)
            begun = True
            parser = EventParser()
            async for chunk in response.content.iter_any():
                for sent in parser.feed(chunk):
                    if (event := _event(sent.data)) is not None:
                        yield Heard(event, sent.id, str(response.url))
    except Garbled as problem:
        raise BrokenOff(f"{url}: the front door {problem}") from problem
    except TimeoutError as problem:
        if begun:
            raise BrokenOff(f"{url}: nothing was heard for {_SILENCE:.0f} s") from problem
        raise Unreachable(f"{url}: no answer in time") from problem
    except (aiohttp.ClientError, OSError) as problem:
        if begun:
            raise BrokenOff(f"{url}: the stream broke off ({problem})") from problem
        raise Unreachable(f"{url}: {problem}") from problem


def _check(response: aiohttp.ClientResponse) -> None:
    if response.status == 204:
        raise Forgotten(f"{response.url}: the launch is over")
    if response.status == 200 and response.content_type == "text/event-stream":
        return
    raise Unreachable(
        f"{response.url}: answered {response.status} {response.reason} with {response.content_type},"
        " not the event stream of a launch; is this the address of a front door?"
    )


def _event(data: bytes) -> dict[str, Any] | None:
    """What is no event says nothing about the launch: the next one may."""
    try:
        return decode(data)
    except Garbled:
        return None
