"""One question to a front door's HTTP API. Knows no terminal and no meaning of the answer."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
from yarl import URL

from federation.follow.stream import Unreachable

_TIMEOUT = 20.0  # seconds for the whole answer
_LARGEST = 32 * 1024 * 1024  # bytes


class Refused(Exception):
    """The front door does not answer this question; the message is its reason."""


async def ask(front_door: str, path: str, **parameters: str) -> dict[str, Any]:
    """The JSON object that the front door answers to a GET of this path below its base URL.

    Raises Refused for what it says cannot be answered, and `stream.Unreachable` when there is no such answer.
    """
    url = URL(front_door.rstrip("/") + path).with_query(parameters)
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            told = _object(await _body(response))
            if response.status == 200 and told is not None:
                return told
            if response.status < 500 and told is not None and isinstance(told.get("message"), str):
                raise Refused(told["message"])
            raise Unreachable(
                f"{response.url}: answered {response.status} {response.reason} with {response.content_type},"
                " not what was asked for; is this the address of a front door?"
            )
    except TimeoutError as problem:
        raise Unreachable(f"{url}: no answer in time") from problem
    except (aiohttp.ClientError, OSError) as problem:
        raise Unreachable(f"{url}: {problem}") from problem


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _LARGEST:
            raise Unreachable(f"{response.url}: answered with more than {_LARGEST} bytes")
    return bytes(body)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
