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

    UNKNOWN = "unknown"  # not yet probed: trusted only when nobody better is left
    HEALTHY = "healthy"
    EJECTED = "ejected"  # takes no launch until its probes pass again
    DRAINED = "drained"  # the operator's wish: weight 0 or a drain


@dataclass(frozen=True, slots=True)
class Member:
    """One BinderHub-compatible service, as the operator configured it.

    `url` has no trailing slash. `weight` is a share in any unit, 0 takes no launches. `seats` is the number
    of sessions it may run, None when only its own health tells.
    """

    name: str
    url: str
    weight: float
    seats: int | None = None
    health_path: str = "/health"
    versions_path: str = "/versions"

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
class MemberView:
    """An immutable snapshot of one member: all that routing, pages and metrics may know of it.

    `since` is the wall-clock time (seconds since the epoch) of the last state change, `seen` of the last
    probe that got any answer (None before the first). `leases` counts launches sent and not yet ended.
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

    @property
    def fit(self) -> bool:
        return self.state is State.HEALTHY


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


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member in the order of a decision, with its score under the policy."""

    view: MemberView
    score: float


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
