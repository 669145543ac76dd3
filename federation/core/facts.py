"""What happened, as frozen facts for listeners such as metrics and log. Knows none of them.

Times are seconds; `seconds` is a length, `at` is since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from federation.core.incident import Change, Incident
from federation.core.model import Decision, Launch, MemberView, State
from federation.core.steering import Override


class Outcome(StrEnum):
    """How a launch, or one attempt of it on one member, ended."""

    READY = "ready"
    FAILED = "failed"  # the repository's or the visitor's own fault, or no member was left
    LOST = "lost"  # this member could not finish it; another one may
    ABANDONED = "abandoned"  # the visitor went away
    REDIRECTED = "redirected"  # handed to the member, the rest is not seen


@dataclass(frozen=True, slots=True)
class StateChanged:
    member: str
    before: State
    after: State
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class LookFailed:
    """A member that took launches did not look well, and has not been ejected for it yet."""

    member: str
    reason: str


@dataclass(frozen=True, slots=True)
class PhaseEnded:
    """A launch came through a phase on a member, such as `launching`, in so many seconds."""

    member: str
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Overdue:
    """A launch stands still on a member for longer than launches do there, and is tried elsewhere beside it."""

    launch: Launch
    id: int
    member: str
    attempt: int
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """One launch on one member. `cause` is one of few words, `why` a sentence; `phase` is the last it came to.
    `id` is the launch's number in this process: one click is one number over all its attempts."""

    launch: Launch
    id: int
    member: str
    attempt: int
    outcome: Outcome
    cause: str
    why: str
    seconds: float
    phase: str = ""


@dataclass(frozen=True, slots=True)
class CanaryEnded:
    """A launch of ours on one member, which no visitor asked for. `id` is below 0, and one for all launches of a spec:
    on whichever member it runs, it is to do the same. The rest is as in `AttemptEnded`."""

    member: str
    id: int
    launch: Launch
    outcome: Outcome
    cause: str
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LaunchEnded:
    """One click, over all its members. `member` is the one that finished it or the last one tried, None if there
    was none. `seconds` begin at the click; `waited` of them went by in the waiting room. `decision` is the one that
    found no member, or none that was left, None when it ended otherwise. `at` is when it ended, `commit` what its ref
    meant, as far as that is known; `phases` are what it came through on the member that finished it, in seconds;
    `built` tells that an image was made for it, `with_token` that it began on a page of ours."""

    launch: Launch
    id: int
    outcome: Outcome
    member: str | None
    attempts: int
    cause: str
    seconds: float
    waited: float = 0.0
    decision: Decision | None = None
    at: float = 0.0
    commit: str | None = None
    phases: tuple[tuple[str, float], ...] = ()
    built: bool = False
    with_token: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A member was chosen for a launch, or for its continuation (`attempt` above 1)."""

    decision: Decision
    id: int
    member: str
    attempt: int
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Redirected:
    """A launch was handed to the member of `view`, which is its end here: `Chosen` and `LaunchEnded` in one. `views`
    are the members as they stood, so that whoever wants the reasons can work them out later."""

    launch: Launch
    id: int
    view: MemberView
    views: tuple[MemberView, ...]
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class BlindnessChanged:
    """All members seem to have failed at once, or one was seen again. `since` is None when we see again."""

    since: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Steered:
    """An operator changed what is set for a member, or what was set came to its end: then `by` is empty."""

    member: str
    by: str
    before: Override
    after: Override
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class IncidentChanged:
    """An incident was opened or closed by the front door, or what is told of it has changed."""

    incident: Incident
    change: Change


@dataclass(frozen=True, slots=True)
class Reconfigured:
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigurationRefused:
    """An edit that cannot be used; what ran before runs on."""

    problems: str


@dataclass(frozen=True, slots=True)
class LoopFailed:
    """A fault of our own in a loop that goes on nevertheless."""

    where: str
    error: BaseException


Fact = (
    StateChanged
    | LookFailed
    | PhaseEnded
    | Overdue
    | AttemptEnded
    | CanaryEnded
    | LaunchEnded
    | Chosen
    | Redirected
    | BlindnessChanged
    | Steered
    | IncidentChanged
    | Reconfigured
    | ConfigurationRefused
    | LoopFailed
)
Listener = Callable[[Fact], None]
