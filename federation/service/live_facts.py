"""A listener that tells the live stream what happened. Knows the shape of no document.

Another part adds its fact here as one more case, or calls `Live.publish` itself.
"""

from __future__ import annotations

from federation.core.decisions import summary
from federation.core.facts import Fact, IncidentChanged, LaunchEnded, Redirected, Steered
from federation.core.incidents_kept import told
from federation.core.live import DECISION, INCIDENT, LEFT_OUT, STEERED, left_out, steered
from federation.service.decisions import Decisions
from federation.service.live import Live

MOST_DECISIONS = 10  # a second; at mybinder.org's peak there is one


class LiveFacts:
    """It has to hear of a launch's end after the record of decisions has."""

    def __init__(self, live: Live, decisions: Decisions) -> None:
        self._live = live
        self._decisions = decisions
        self._told = 0  # decisions since the last beat
        self._left_out = 0

    def listen(self, fact: Fact) -> None:
        if not self._live.heard:
            return
        match fact:
            case LaunchEnded() | Redirected():
                self._decided(fact.id)
            case Steered():
                self._live.publish(STEERED, steered(fact), public=False)
            case IncidentChanged(incident):
                self._live.publish(INCIDENT, told(incident))
            case _:
                pass

    def beat(self) -> None:
        """Tells how many decisions were left out since the last one; call it once a second."""
        if self._left_out:
            self._live.publish(LEFT_OUT, left_out(decisions=self._left_out))
        self._told = self._left_out = 0

    def _decided(self, id: int) -> None:
        if self._told >= MOST_DECISIONS:
            self._left_out += 1
            return
        record = self._decisions.find(id)
        if record is not None:  # else so few are to be remembered that it is forgotten again
            self._told += 1
            self._live.publish(DECISION, summary(record))
