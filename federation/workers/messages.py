"""What the captain and its workers tell each other, as frozen values. Knows no channel.

`Counted` messages change how many seats are taken, so a picture of the members says how many of them it contains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federation.core.facts import Fact
from federation.core.model import Launch, MemberView
from federation.core.rules import Settings
from federation.service.patience import Patience

# From a worker to the captain.


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker accepts visitors."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A lease on a member. `lease` is its number in the worker."""

    lease: int
    member: str


@dataclass(frozen=True, slots=True)
class Closed:
    lease: int
    ready: bool


@dataclass(frozen=True, slots=True)
class Turned:
    """The launch of the lease begins to wait for a build, or waits no more."""

    lease: int
    building: bool


@dataclass(frozen=True, slots=True)
class Handed:
    """A launch was redirected to the member."""

    member: str


Counted = Opened | Turned | Closed | Handed


@dataclass(frozen=True, slots=True)
class Refused:
    """A member did not even accept a connection."""

    member: str
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """A fact; the numbers of launches in it are the worker's own."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many launches wait for a seat in this worker's room now, the first of them for so many seconds."""

    launches: int
    longest: float


# Both ways: what one worker began, the captain passes on to the others.


@dataclass(frozen=True, slots=True)
class Began:
    """A launch that may be building, so that others of its version join it. `key` is the worker's mark and a number."""

    key: tuple[str, int]
    launch: Launch
    member: str


@dataclass(frozen=True, slots=True)
class Passed:
    """It is past the build, or over."""

    key: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Showed:
    """An event of a member that tells what a ref means, or whether the member holds the image."""

    launch: Launch
    member: str
    event: Mapping[str, Any]


Shared = Began | Passed | Showed

# From the captain to a worker.


@dataclass(frozen=True, slots=True)
class Welcome:
    """The first message: the configuration in force, and what is known of the members' pace, builds and images."""

    settings: Settings
    patience: Patience
    builds: tuple[Shared, ...]


@dataclass(frozen=True, slots=True)
class Configured:
    """A new configuration is in force."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Heard:
    """A fact that workers learn from too."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Shown:
    """The members at one moment, in the order of the configuration: see `federation.core.snapshot.Snapshot`."""

    views: tuple[MemberView, ...]
    headrooms: tuple[int, ...]
    taken: tuple[int, ...]
    blind_since: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """A packed `Shown`, the same for all workers, and this worker's part: how many of its `Counted` messages are in
    it, and which share of the free seats is its own (see `federation.workers.shares`)."""

    shown: bytes
    counted: int
    place: int
    of: int
    turn: int


@dataclass(frozen=True, slots=True)
class Retire:
    """Accept no more, carry on what is under way for so many seconds at most, then end."""

    limit: float


@dataclass(frozen=True, slots=True)
class Stop:
    """End now, as a front door stops."""
