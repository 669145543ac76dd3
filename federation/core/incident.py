"""What an incident is. Knows no rule of when one begins or ends: those are in `federation.core.incidents`.

Times are seconds since the epoch. All of it is public: it holds no operator's name and nothing of a visitor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from federation.core.launchkey import shown
from federation.core.told import text

MOST_NOTES = 60  # entries of a timeline
FIRST_NOTES = 20  # of them, so many are of the beginning
LONGEST_NOTE = 300  # characters


class Kind(StrEnum):
    """What is wrong."""

    MEMBER_OUT = "member_out"  # a member that is expected to take launches takes none
    LAUNCHES_FAIL = "launches_fail"  # too many of the visitors do not get what they came for
    BLIND = "blind"  # the front door sees no member any more
    NO_MEMBER = "no_member"  # not one member takes launches
    WAITING = "waiting"  # launches wait too long for a seat


class Cause(StrEnum):
    """Whose fault it seems to be."""

    MEMBER = "member"
    REGISTRY = "registry"
    GIT_HOST = "git_host"
    CAPACITY = "capacity"
    FRONT_DOOR = "front_door"
    UNKNOWN = "unknown"


class Change(StrEnum):
    """What became of an incident."""

    OPENED = "opened"
    CHANGED = "changed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Note:
    """One entry of a timeline."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Incident:
    """`member` is empty when it is the whole federation's. `began` is when the fault was first seen, `opened` when it
    had lasted long enough to be an incident, `closed` is None as long as it is one. `reason` is what was told of it
    when it was opened. `affected` launches met the fault, `failed` of them did not succeed elsewhere either; `causes`
    counts by which word attempts and launches ended. `latest` is the last launch that met it, which may still be
    another one; `left_out` entries of the timeline were too many to be kept."""

    id: str
    kind: Kind
    member: str
    began: float
    opened: float
    closed: float | None = None
    reason: str = ""
    cause: Cause = Cause.UNKNOWN
    affected: int = 0
    failed: int = 0
    causes: tuple[tuple[str, int], ...] = ()
    timeline: tuple[Note, ...] = ()
    latest: Note | None = None
    left_out: int = 0

    @property
    def title(self) -> str:
        match self.kind:
            case Kind.MEMBER_OUT:
                return f"{self.member} out of service"
            case Kind.LAUNCHES_FAIL:
                return "Too many launches fail"
            case Kind.BLIND:
                return "The front door sees no member"
            case Kind.NO_MEMBER:
                return "No member takes launches"
            case Kind.WAITING:
                return "Launches wait long for a seat"

    @property
    def story(self) -> tuple[Note, ...]:
        """The timeline with the last launch that met it, in the order of time."""
        notes = self.timeline if self.latest is None else (*self.timeline, self.latest)
        return tuple(sorted(notes, key=lambda note: note.at))

    @property
    def updated(self) -> float:
        """When something was last added to it."""
        return max(self.opened, self.closed or 0.0, *(note.at for note in self.story))


def noted(incident: Incident, at: float, words: str) -> Incident:
    """With one more entry. Beyond so many, those in the middle go: beginning and end say most."""
    notes = (*incident.timeline, Note(at, brief(words)))
    left_out = incident.left_out
    if len(notes) > MOST_NOTES:
        notes, left_out = (*notes[:FIRST_NOTES], *notes[FIRST_NOTES + 1 :]), left_out + 1
    return replace(incident, timeline=notes, left_out=left_out)


def brief(words: str) -> str:
    """Somebody's words as one short line that may be published."""
    return text(" ".join(shown(words).split()), LONGEST_NOTE)
