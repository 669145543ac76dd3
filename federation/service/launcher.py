"""Carries one launch to its end: over as many members as it takes, or by handing it to one. Knows no HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from itertools import count

from federation.core.errors import LaunchError
from federation.core.facts import LaunchEnded, Outcome, Redirected
from federation.core.model import Decision, Launch, Member
from federation.service.audience import Audience
from federation.service.own_events import nobody
from federation.service.ports import Frame, Visitor
from federation.service.relay_launch import RelayedLaunch, Surroundings


class Launcher:
    """Relays and redirects launches; tells how each attempt and each launch ended."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._pool = around.pool
        self._dispatcher = around.dispatcher
        self._tell = around.tell
        self._ids = count(1)

    def would_take(self, launch: Launch) -> Member:
        """The member that this launch would be handed to. Raises `LaunchError` when none can take it."""
        return _first_of(self._dispatcher.decide(launch))

    def hand_over(self, launch: Launch) -> Member | None:
        """The member that this launch is handed to; None, and nothing told, when none can take it."""
        index = self._dispatcher.choose(launch)
        if index is None:
            return None
        views = self._pool.snapshot().views
        self._pool.handed(index)
        self._tell(Redirected(launch, next(self._ids), views[index], views, self._around.clock.now()))
        return views[index].member

    def redirect(self, launch: Launch) -> Member:
        """The member that this launch is handed to. Raises `LaunchError` when none can take it."""
        member = self.hand_over(launch)
        if member is None:
            decision, id, now = self._dispatcher.decide(launch), next(self._ids), self._around.clock.now()
            self._tell(
                LaunchEnded(launch, id, Outcome.FAILED, None, 0, "no_member", 0.0, decision=decision, at=now)
            )
            raise LaunchError(nobody(decision))
        return member

    def relay(self, launch: Launch, visitor: Visitor, audience: Audience) -> AsyncGenerator[Frame, None]:
        """The events of this launch, from whichever members they come, to `ready` or the final `failed`.

        While the audience is empty, a member that can go on later is left alone. Close it
        (`contextlib.aclosing`) when nobody wants it any more: that closes the members' streams at once.
        """
        return RelayedLaunch(launch, next(self._ids), visitor, audience, self._around).frames()


def _first_of(decision: Decision) -> Member:
    if not decision.candidates:
        raise LaunchError(nobody(decision))
    return decision.candidates[0].view.member
