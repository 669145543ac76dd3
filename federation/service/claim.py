"""A member that takes a launch, with what the launch holds of it. Knows no stream."""

from __future__ import annotations

from contextlib import ExitStack

from federation.core.model import Decision
from federation.core.phases import Event
from federation.service.dispatch import Dispatcher
from federation.service.ports import Members


class Claim:
    """Holds a seat on the first member of a decision, from the moment it is made until it is closed.

    Made in the same step as the decision, so that two launches never take one seat. `let_nobody_join` is to be
    called when further launches of this version have nothing to wait for there any more.
    """

    def __init__(self, pool: Members, dispatcher: Dispatcher, decision: Decision) -> None:
        self._dispatcher = dispatcher
        self.decision = decision
        self.member = decision.candidates[0].view.member
        self._held = ExitStack()
        self._lease = self._held.enter_context(pool.lease(self.member.name))
        self.let_nobody_join = self._held.enter_context(
            dispatcher.under_way(decision.launch, self.member.name)
        )

    def heard(self, event: Event, *, building: bool) -> None:
        """An event of the launch on this member; `building` tells whether it waits for a build now."""
        self._dispatcher.heard(self.decision.launch, self.member.name, event)
        self._lease.builds(building)

    def close(self, *, ready: bool = False) -> None:
        """Gives everything back; a second time changes nothing. A launch that is ready keeps its seat until the
        member's own numbers show it."""
        self._lease.close(ready=ready)
        self._held.close()
