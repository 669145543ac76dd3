"""From a launch to the order of its members, by the rules in force. Knows no request and no stream."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from federation.core.model import Decision, Launch
from federation.core.policies import Dice
from federation.core.routing import decide
from federation.core.rules import Settings
from federation.service.joining import Joining
from federation.service.ports import Members

InForce = Callable[[], Settings]


class Dispatcher:
    """Puts the pool's present view, the configuration in force and the dice before the router."""

    def __init__(self, pool: Members, in_force: InForce, dice: Dice) -> None:
        self._pool = pool
        self._in_force = in_force
        self._dice = dice
        self._joining = Joining()

    def decide(self, launch: Launch, tried: Collection[str] = ()) -> Decision:
        """The members for this launch, best first, without those tried already. Changes nothing."""
        return decide(
            launch,
            self._pool.snapshot(),
            rules=self._in_force().policy,
            dice=self._dice,
            tried=tried,
            builders=self._joining.members(launch),
            taken=self._pool.taken,
        )

    def under_way(self, launch: Launch, member: str) -> AbstractContextManager[Callable[[], None]]:
        """Further launches of this version go to the member as well, until the function is called or the block
        ends: if it builds, they join the build."""
        return self._joining.under_way(launch, member)
