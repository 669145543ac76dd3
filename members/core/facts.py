"""What happened, told once to every listener: metrics and log are equals. Knows no listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from members.core.model import Visit

BuildStatus = Literal["success", "failure", "cancelled"]
StoryStatus = Literal["success", "failure", "abandoned"]
LaunchStatus = Literal["success", "failure", "pod_quota", "repo_quota", "abandoned"]


@dataclass(frozen=True, slots=True)
class BuildStarted:
    """A build got its place and begins."""

    provider: str
    repo_url: str
    image: str


@dataclass(frozen=True, slots=True)
class BuildEnded:
    """A started build is over after `seconds`. `cause` is empty for a success; `ours` blames this member."""

    provider: str
    repo_url: str
    image: str
    status: BuildStatus
    seconds: float
    cause: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True)
class ImageFetched:
    """An image was brought from the common store to this member, in `seconds`."""

    image: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LaunchStarted:
    """The image is there and a session is asked for."""

    provider: str
    repo_url: str
    image: str


@dataclass(frozen=True, slots=True)
class LaunchRetried:
    """Attempt number `attempt` (from 0) failed after `seconds` and another follows."""

    image: str
    attempt: int
    seconds: float
    cause: str


@dataclass(frozen=True, slots=True)
class LaunchEnded:
    """A started launch is over; `attempt` (from 0) is the last one and `seconds` its length."""

    provider: str
    repo_url: str
    image: str
    status: LaunchStatus
    attempt: int
    seconds: float
    cause: str = ""


@dataclass(frozen=True, slots=True)
class StoryEnded:
    """A visitor's launch, from its link to its last event, is over: what the launch event log tells of it.

    `provider` is the provider's name, not its id. `spec` is as it was resolved; `ref` is empty when it was not.
    A launch that was to build only, or of no provider known here, has no such fact.
    """

    provider: str
    spec: str
    ref: str
    status: StoryStatus
    visit: Visit


@dataclass(frozen=True, slots=True)
class QuotaHit:
    """A launch found no room before its build began."""

    provider: str
    repo_url: str
    status: LaunchStatus


@dataclass(frozen=True, slots=True)
class RateLimit:
    """GitHub told how many requests this member may still make."""

    remaining: int


@dataclass(frozen=True, slots=True)
class Note:
    """A plain sentence for who runs this member."""

    message: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something of this member's own went wrong where nobody waits for an answer."""

    where: str
    error: BaseException


Fact = (
    BuildStarted
    | BuildEnded
    | ImageFetched
    | LaunchStarted
    | LaunchRetried
    | LaunchEnded
    | StoryEnded
    | QuotaHit
    | RateLimit
    | Note
    | Trouble
)
Tell = Callable[[Fact], None]
