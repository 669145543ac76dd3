"""One launch from request to address: reads its events and says how it ended. Knows no terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from federation.core.target import UnsafeTarget, server_target
from federation.follow.resume import DELAYS, resumed
from federation.follow.wanted import Wanted


class LaunchFailed(Exception):
    """The launch ended without a server; the message is the reason."""


@dataclass(frozen=True, slots=True)
class News:
    """One event as a person wants it. `phase` is empty when the event has none; `member` is set by the
    front door's own events; `text` may hold several lines."""

    phase: str
    text: str
    member: str = ""


async def follow(
    wanted: Wanted, front_door: str, tell: Callable[[News], None], *, delays: Sequence[float] = DELAYS
) -> str:
    """Launches, tells every event, and returns the address of the running server, token included.

    A connection that breaks is made anew after the next of `delays`, in seconds. Raises LaunchFailed when the
    launch failed, and `stream.Unreachable` when the front door did.
    """

    def retry(reason: str) -> None:
        tell(News("", f"{reason}\n"))

    async with aclosing(resumed(wanted.build_url(front_door), retry, delays=delays)) as stream:
        async for event in stream:
            news = _news(event)
            if news.phase == "ready":
                tell(news)
                return _address(wanted, event)
            if news.phase in ("failed", "failure"):
                raise LaunchFailed(news.text.strip() or "no reason was given; the lines before may tell")
            tell(news)
    raise AssertionError("a stream without end has ended")


def _news(event: dict[str, Any]) -> News:
    def text(key: str) -> str:
        value = event.get(key)
        return value if isinstance(value, str) else ""

    return News(text("phase").lower(), text("message"), text("member"))


def _address(wanted: Wanted, event: dict[str, Any]) -> str:
    url, token = event.get("url"), event.get("token")
    if not isinstance(url, str) or not isinstance(token, str):
        raise LaunchFailed("the server is ready, but its address was not told")
    try:
        return server_target(
            url, token, urlpath=wanted.urlpath, labpath=wanted.labpath, filepath=wanted.filepath
        )
    except UnsafeTarget as problem:
        raise LaunchFailed(f"the link asks for an address outside its server: {problem}") from problem
