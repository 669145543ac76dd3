"""The front door's nouns: members, what is known of them, launches and decisions. Knows no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


def nothing() -> Mapping[str, Any]:
    """A default for fields; a mapping proxy itself is refused as one."""
    return NOTHING


class State(StrEnum):
    """Where a member stands in the health state machine."""

    UNKNOWN = "unknown"  # not yet seen: trusted only when nobody better is left
    HEALTHY = "healthy"
    DEGRADED = "degraded"  # takes what it can still do, after those that can do all
    EJECTED = "ejected"  # takes no launch until its back-off is over and its probes pass
    TRIAL = "trial"  # takes one launch at a time, which decides
    RECOVERING = "recovering"  # takes launches, at first a small share of them
    DRAINED = "drained"  # the operator's wish: weight 0 or a drain


TAKING = frozenset({State.HEALTHY, State.DEGRADED, State.TRIAL, State.RECOVERING})


class Operation(StrEnum):
    """What a launch may need of a member."""

    BUILD = "build"  # to make an image, or to fetch one that it does not hold
    LAUNCH = "launch"  # to start a session


@dataclass(frozen=True, slots=True)
class MemberCosts:
    """What a member costs: `monthly` is a plain figure, `exports` a folder of its provider's cost exports, which tell
    better. `cap` is what its donors give a month at most. All in the currency of the configuration."""

    monthly: float | None = None
    exports: str | None = None
    cap: float | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One BinderHub-compatible service, as the operator configured it.

    `url` has no trailing slash. `weight` is a share in any unit, 0 takes no launches. `seats` is the number
    of sessions it may run, None when only its own health tells. `prometheus` is the URL of its own Prometheus.
    `drained` says why an operator took it out, in words; its weight is 0 then.
    """

    name: str
    url: str
    weight: float
    seats: int | None = None
    health_path: str = "/health"
    versions_path: str = "/versions"
    prometheus: str | None = None
    costs: MemberCosts | None = None
    drained: str = ""

    @property
    def closed(self) -> str:
        """Why it is to take no launches, whatever its health; empty when it may."""
        return self.drained or ("weight 0" if self.weight <= 0 else "")

    def address(self, path: str) -> str:
        """Below the member's URL, or the path itself when the operator gave a whole URL."""
        return path if "://" in path else self.url + path


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a member's `/health` body."""

    service: str
    ok: bool
    ignored: bool = False  # the member reports it, but does not judge itself by it
    detail: Mapping[str, Any] = field(default_factory=nothing)


@dataclass(frozen=True, slots=True)
class Seats:
    """Sessions running on a member against its quota; `quota` None means no limit is known."""

    used: int
    quota: int | None

    @property
    def free(self) -> int | None:
        return None if self.quota is None else max(0, self.quota - self.used)


@dataclass(frozen=True, slots=True)
class Signal:
    """One figure that Prometheus, or the member's own metrics, tells of a member. `at` is when it was measured,
    in seconds since the epoch. Ratios are shares of 1, lengths are seconds."""

    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Tally:
    """How launches on a member ended lately, as far as they speak of the member itself."""

    good: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class Pacing:
    """What budget pacing leaves of a member's weight, a factor above 0 and up to 1, and why."""

    factor: float = 1.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MemberView:
    """An immutable snapshot of one member: all that routing, pages and metrics may know of it.

    `since` is the wall-clock time (seconds since the epoch) of the last state change, `seen` of the last
    probe that got any answer (None before the first). `seats` is what the member told, bounded by the
    configuration; `capacity` the sessions it can really hold, as far as that is known. `leases` counts
    launches that were sent and are not visible in `seats` yet; `starting` those under way that wait for no build, of
    which it may have `intake` at once. `weight` is the operator's after evidence, free
    seats, slow start and pacing. `lost` are the operations that it cannot do now. `refusal` says why it takes no
    launch, None when it does.
    """

    member: Member
    state: State = State.UNKNOWN
    since: float = 0.0
    reason: str = "not probed yet"
    checks: tuple[Check, ...] = ()
    seats: Seats | None = None
    versions: Mapping[str, Any] = field(default_factory=nothing)
    seen: float | None = None
    leases: int = 0
    starting: int = 0
    intake: int | None = None
    weight: float = 0.0
    pacing: Pacing = Pacing()
    capacity: int | None = None
    lost: frozenset[Operation] = frozenset()
    tally: Tally = Tally()
    signals: Mapping[str, Signal] = field(default_factory=nothing)
    refusal: str | None = "not probed yet"

    @property
    def fit(self) -> bool:
        """Whether its state lets it take launches; it may be full nevertheless."""
        return self.state in TAKING

    @property
    def load(self) -> int:
        """Sessions and launches that take its seats."""
        return (0 if self.seats is None else self.seats.used) + self.leases

    @property
    def free(self) -> int | None:
        """Seats that are left, None when no limit is known."""
        return None if self.capacity is None else max(0, self.capacity - self.load)


@dataclass(frozen=True, slots=True)
class Launch:
    """One request to build (if needed) and start a repository at a ref.

    `spec` is the raw, still percent-encoded text after `/build/<provider>/`. `repo_key` is what affinity
    hashes: the ref dropped, normalised. `query` is the raw query string that travels on to the member.
    """

    provider: str
    spec: str
    repo_key: str
    query: str = ""
    prefer: str | None = None  # ?member=NAME: honoured when that member is fit

    @property
    def path(self) -> str:
        return f"/build/{self.provider}/{self.spec}"

    @property
    def needs(self) -> frozenset[Operation]:
        """What a member must be able to do for it, if it does not hold the image."""
        only = "build_only=true" in self.query.split("&")
        return frozenset({Operation.BUILD} if only else {Operation.BUILD, Operation.LAUNCH})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member in the order of a decision, with its score under the policy. `note` says why its place is not
    the one that its score would give it."""

    view: MemberView
    score: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A member that was not a candidate, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The full order of members for one launch. `last_resort` means that no member was fit and the order is
    made of those not known to be well."""

    launch: Launch
    candidates: tuple[Candidate, ...]
    exclusions: tuple[Exclusion, ...] = ()
    why: str = ""
    last_resort: bool = False
