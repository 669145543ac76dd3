"""How one launch comes along on one member: its phase, and since when it stands still. Knows no stream and no clock.

Phases only go forward; an event of an earlier one is an event and nothing more. While an image is made, every
event is progress. In any other phase none is: "Still launching" told again and again is no start of a server.
"""

from __future__ import annotations

from federation.core.phases import Ending, Event, Verdict, judge, past_the_build, phase_of
from federation.core.versions import tells_of_making

CONNECTING = "connecting"  # no event yet
PHASES = (CONNECTING, "waiting", "fetching", "building", "pushing", "built", "launching")
_TALKATIVE = frozenset({"fetching", "building", "pushing"})
BUILDING = frozenset({"waiting", "fetching", "building", "pushing"})
_PLACE = {phase: place for place, phase in enumerate(PHASES)}


class Progress:
    """Feed it a member's events as they come. Times are seconds on any one clock."""

    def __init__(self, now: float) -> None:
        self.phase = CONNECTING
        self.built = False  # the image is there: a failure cannot be the build's any more
        self.made = False  # the image was made for it
        self.heard = False  # the member told something: it let the launch in
        self.since = now  # the moment from which the launch stands still
        self._began = now
        self._origin = ""
        self._whole = True
        self._ended: list[tuple[str, float]] = []

    @property
    def building(self) -> bool:
        """Whether it waits for a build."""
        return self.phase in BUILDING and not self.built

    @property
    def phases(self) -> tuple[tuple[str, float], ...]:
        """The phases that were left and their lengths in seconds; none when the member began anew meanwhile,
        since such a launch says nothing of the usual."""
        return tuple(self._ended) if self._whole else ()

    def connected_anew(self, now: float) -> None:
        """Nobody listened for a while, or the connection broke: the standstill counts from here."""
        self.since = now

    def held_up(self, seconds: float) -> None:
        """The visitor took what was told only after this time, which is no fault of the member."""
        self.since += seconds
        self._began += seconds

    def take(self, event: Event, origin: str, now: float) -> Verdict | None:
        """How this event ends the launch here, or None when it goes on. `origin` names the member's own launch;
        another one than before means that the member began anew."""
        if origin != self._origin:
            if self.heard:
                self._begin_anew(now)
            self._origin = origin
        verdict = judge(event, built=self.built)
        if verdict is not None:
            if verdict.ending is Ending.READY:
                self._ended.append((self.phase, now - self._began))
            return verdict
        self.heard = True
        phase = phase_of(event)
        self.built = self.built or past_the_build(phase)
        self.made = self.made or tells_of_making(event)
        if _PLACE.get(phase, 0) > _PLACE[self.phase]:
            self._ended.append((self.phase, now - self._began))
            self.phase = phase
            self._began = self.since = now
        elif self.phase in _TALKATIVE:
            self.since = now
        return None

    def _begin_anew(self, now: float) -> None:
        self.phase = CONNECTING
        self.built = self._whole = False
        self._began = self.since = now
