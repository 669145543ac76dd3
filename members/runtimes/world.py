"""What a runtime gives to the member: its ports, open and ready. Knows no runtime."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from members.core.facts import Tell
from members.service.ports import Builder, Hub, ImageStore, Login
from members.settings import Settings


@dataclass(frozen=True, slots=True)
class World:
    """The ports of one runtime. `lost` returns, with the reason, when the runtime has ended.

    `isolation` is a sentence for people: what stands between a session and the machine. `listeners` are told
    every fact of the member. Without a `login` every visitor is a stranger.
    """

    store: ImageStore
    builder: Builder
    hub: Hub
    isolation: str
    lost: Callable[[], Awaitable[str]]
    listeners: tuple[Tell, ...] = ()
    login: Login | None = None


OpenWorld = Callable[[Settings, Tell], AbstractAsyncContextManager[World]]


class RuntimeFailed(Exception):
    """The runtime cannot start; the message says what is missing and how to get it."""
