"""What the front door's service floor asks of the world. Adapters implement these Protocols."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Protocol

from federation.core.model import Check, Launch, Member, Seats


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One look at a member. `reason` is empty when `ok`; `answered` tells silence from a bad answer."""

    member: str
    at: float
    ok: bool
    answered: bool
    reason: str = ""
    checks: tuple[Check, ...] = ()
    seats: Seats | None = None
    versions: dict[str, Any] | None = None


class Prober(Protocol):
    async def probe(self, member: Member) -> ProbeResult:
        """Asks `/versions` and `/health` once, within the configured timeout. Never raises."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: what is passed on to the member in forwarded headers.

    `build_token` is the one that came with the launch, as it was written there; `vouched` tells that it is of
    this front door's own page and holds.
    """

    ip: str
    scheme: str
    host: str
    origin: str | None = None
    build_token: str = ""
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a member's stream: the exact JSON text, what it means, and its id if the member gave one."""

    data: bytes
    event: dict[str, Any]
    id: str = ""


class RefSource(Protocol):
    async def resolve(self, url: str, names: tuple[str, ...]) -> str | None:
        """The commit that the first of these refs which exists in the repository means, 40 hexadecimal digits.

        `names` are as in `federation.core.versions.Lookup`. None when there is no such ref, or when it cannot
        be told, for whatever reason.
        """


class MemberStreams(Protocol):
    def open(
        self, member: Member, launch: Launch, visitor: Visitor, after: str = ""
    ) -> AsyncGenerator[Frame, None]:
        """The member's event stream for this launch, or what follows the event with the id `after` in it.

        Raises a subclass of `federation.core.errors.MemberFault` when the member refuses the connection,
        answers with an error, stays silent, breaks off or sends what is no event stream. Ends when the member
        ends it. Closing the generator closes the connection at once.
        """


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
