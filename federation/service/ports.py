"""What the front door's service floor asks of the world. Adapters implement these Protocols."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from federation.core.cost_exports import Period
from federation.core.counters import Counts
from federation.core.model import Check, Launch, Member, MemberView, Operation, Seats, Signal, nothing
from federation.core.snapshot import Snapshot
from federation.core.steering import Change, Overrides
from federation.core.waiting import Place
from federation.service.audience import Audience
from federation.service.leases import Lease

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One look at a member. `reason` is empty when `ok`; `answered` tells silence from a bad answer. `lost` are the
    operations that an `ok` member cannot do."""

    member: str
    at: float
    ok: bool
    answered: bool
    reason: str = ""
    checks: tuple[Check, ...] = ()
    seats: Seats | None = None
    versions: dict[str, Any] | None = None
    lost: frozenset[Operation] = frozenset()


class Members(Protocol):
    """The members as launches and pages meet them: the pool itself, or what follows a pool elsewhere."""

    @property
    def taken(self) -> Sequence[int]:
        """Launches that were handed over since the snapshot was made, by the index of the view."""

    @property
    def blind_since(self) -> float | None:
        """Since when all members seem to have failed at once; None when the view is to be believed."""

    def views(self) -> tuple[MemberView, ...]:
        """All members in the order of the configuration. Costs nothing."""

    def snapshot(self) -> Snapshot:
        """The views with what routing makes of them in advance."""

    def view(self, name: str) -> MemberView | None: ...

    def lease(self, name: str) -> Lease:
        """A seat on this member until the lease is closed. One of a member that is gone counts nowhere."""

    def handed(self, index: int) -> None:
        """A launch was redirected to the member of this index in the snapshot."""

    def refused(self, name: str, reason: str) -> None:
        """A launch could not even connect to this member."""

    def when_stirred(self, stirred: Callable[[], None]) -> None:
        """Called whenever a seat may have come free."""


class Prober(Protocol):
    async def probe(self, member: Member) -> ProbeResult:
        """Asks `/versions` and `/health` once, within the configured timeout. Never raises."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What metrics told of a member this time: `signals` by name, and the launches that its processes had counted
    by status. `unread` are the signals that could not be asked for, with the reason."""

    signals: Mapping[str, Signal] = field(default_factory=nothing)
    counts: Counts = field(default_factory=nothing)
    unread: Mapping[str, str] = field(default_factory=nothing)


class SignalSource(Protocol):
    async def read(self, member: Member) -> Reading:
        """Asks once, within the configured timeout of a question. Never raises: a reason takes an answer's place."""


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


class SessionEnd(Protocol):
    async def end(self, url: str, token: str) -> None:
        """Asks the server of a session, at the address and with the token that its `ready` gave, to end itself.
        Bounded, and never raises: one that cannot be asked is left to its hub, which ends what is idle."""


class ViewStore(Protocol):
    """Both are bounded in time and raise OSError when the file cannot be had, or takes too long."""

    async def read(self, path: str) -> object:
        """The document that was kept last, None when there is no file. Raises ValueError when it is none."""

    async def write(self, path: str, document: Mapping[str, Any]) -> None:
        """Keeps the document in place of the one before: whole, or not at all."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a store held at the start. `notes` are sentences for the log about what was not as it should be."""

    overrides: Overrides = field(default_factory=nothing)
    notes: tuple[str, ...] = ()


class OverrideStore(Protocol):
    """What operators have set, and every change that led there. All are bounded in time, and raise OSError when the
    store cannot be had."""

    async def load(self) -> Loaded:
        """To be called once, before all else."""

    async def commit(self, overrides: Overrides, change: Change) -> Change:
        """Keeps what is set now and the change that it comes from, which gets its id. Both are kept, or none is and it
        raises."""

    async def changes(self, before: int | None, limit: int) -> tuple[Change, ...]:
        """The last changes, newest first; with `before`, those before the one with this id."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What the cost exports of one member tell. `problems` are the files that were not understood, in words."""

    periods: tuple[Period, ...] = ()
    problems: tuple[str, ...] = ()


class CostExports(Protocol):
    async def read(self, folder: str) -> Exported:
        """What this folder holds now. Each step of it is bounded in time. Never raises: a file that is bad counts as
        it did when it was last good, or not at all."""


class CloudCosts(Protocol):
    async def publish(self, path: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """Writes these as lines of JSON in place of the file before: whole, or not at all. Raises OSError."""


class IncidentStore(Protocol):
    """Records in their order. All are bounded in time and raise OSError when the file cannot be had, or takes too
    long."""

    async def read(self, path: str) -> Sequence[object]:
        """What was kept, none when there is no file. Raises ValueError when it cannot be ours."""

    async def append(self, path: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Adds these to the file: all, or none."""

    async def replace(self, path: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Keeps these in place of all before: as a whole, or not at all."""


class Patience(Protocol):
    def limit(self, member: str, phase: str, default: float) -> float:
        """For how many seconds a launch may stand still in this phase on this member; `default` as long as too
        little is known of it."""


class RetryBudget(Protocol):
    """Keeps further attempts from multiplying the load when many launches fail at once."""

    def launched(self) -> None:
        """A launch has begun: the budget grows by its share."""

    def granted(self) -> bool:
        """Takes one further attempt from the budget, if there is one."""


@dataclass(frozen=True, slots=True)
class Entered(Generic[T]):
    """The end of the wait: what `enter` gave."""

    value: T


class WaitingRoom(Protocol):
    @property
    def crowded(self) -> bool:
        """Whether launches wait, so that one more goes behind them."""

    def wait(
        self, launch: Launch, visitor: str, audience: Audience, enter: Callable[[], T | None]
    ) -> AsyncGenerator[Place | Entered[T], None]:
        """A place whenever it changes, then what `enter` gave and the end.

        `enter` is called when it is this launch's turn, any number of times; it decides and takes a seat in one
        step, or gives None. Raises `RoomFull` and `WaitedTooLong`. Closing the generator leaves the room at once.
        """


class Line(Protocol):
    """Those who wait for a seat."""

    @property
    def waiting(self) -> int:
        """Launches that wait now."""

    @property
    def longest(self) -> float:
        """Seconds that the one who came first of them has waited."""


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
