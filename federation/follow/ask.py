"""One question to a front door's HTTP API. Knows no terminal and no meaning of the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from federation.follow.stream import Unreachable

_TIMEOUT = 20.0  # seconds for the whole answer
_LARGEST = 32 * 1024 * 1024  # bytes


class Refused(Exception):
    """The front door does not answer this question; the message is its reason. `status` is HTTP's."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Failed(Exception):
    """The front door could not do what was right to ask for; the message is its reason."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: its headers, and the object in it."""

    headers: Mapping[str, str]
    body: dict[str, Any]


async def ask(front_door: str, path: str, *, token: str = "", **parameters: str) -> dict[str, Any]:
    """The JSON object that the front door answers to a GET of this path below its base URL.

    Raises as `exchange`.
    """
    url = URL(front_door.rstrip("/") + path).with_query(parameters)
    return (await exchange("GET", url, token=token)).body


async def exchange(
    method: str,
    url: URL,
    *,
    token: str = "",
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Told:
    """What the front door answers. `body` is sent as JSON, `token` as bearer token to this address alone.

    Raises Refused for what it says cannot be answered, Failed for what it says it could not do, and
    `stream.Unreachable` when there is no such answer.
    """
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    sent = {"Accept": "application/json", **(headers or {})}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, headers=sent, json=body, allow_redirects=not token) as response,
        ):
            return Told(response.headers, _meant(response, _object(await _body(response))))
    except TimeoutError as problem:
        raise Unreachable(f"{url}: no answer in time") from problem
    except (aiohttp.ClientError, OSError, ValueError) as problem:  # such as a token that fits no header
        raise Unreachable(f"{url}: {problem}") from problem


def _meant(response: aiohttp.ClientResponse, told: dict[str, Any] | None) -> dict[str, Any]:
    if response.status == 200 and told is not None:
        return told
    message = None if told is None else told.get("message")
    if isinstance(message, str) and told is not None and told.get("status") == response.status:
        if 400 <= response.status < 500:
            raise Refused(message, response.status)
        raise Failed(message)
    raise Unreachable(
        f"{response.url}: answered {response.status} {response.reason} with {response.content_type},"
        " not what was asked for; is this the address of a front door?"
    )


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
