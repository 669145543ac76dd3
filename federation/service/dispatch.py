"""From a launch to the order of its members, by the rules in force. Knows no request and no stream."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager

from federation.core.facts import Fact, Reconfigured
from federation.core.model import Decision, Launch, MemberView
from federation.core.phases import Event
from federation.core.policies import Dice
from federation.core.routing import choose, decide
from federation.core.rules import Settings
from federation.core.snapshot import snapshot
from federation.service.holders import Holders
from federation.service.joining import Joining
from federation.service.ports import Members
from federation.service.refs import Refs

MOMENT = 0.3  # seconds

InForce = Callable[[], Settings]


class Dispatcher:
    """Puts the pool's present view, what is known of images and the configuration in force before the router."""

    def __init__(self, pool: Members, in_force: InForce, dice: Dice, refs: Refs) -> None:
        self._pool = pool
        self._in_force = in_force
        self._dice = dice
        self._refs = refs
        self._joining = Joining(refs.known)
        self._holders = Holders(refs.known)
        refs.subscribe(self._joining.learned)

    def decide(self, launch: Launch, tried: Collection[str] = (), full: Collection[str] = ()) -> Decision:
        """The members for this launch, best first, without those tried already. Changes nothing.

        `full` are members that had no seat for it: they build nothing that it could wait for.
        """
        return decide(
            launch,
            self._pool.snapshot(),
            rules=self._in_force().policy,
            dice=self._dice,
            tried=tried,
            builders=[name for name in self._joining.members(launch) if name not in full],
            holders=self._holders.members(launch),
            taken=self._pool.taken,
        )

    async def acquaint(self, launch: Launch) -> None:
        """Gives the ref of a launch that has just begun a moment to become known, so that it finds those who build or
        hold what it means."""
        await self._refs.resolved(launch, MOMENT)

    def commit(self, launch: Launch) -> str | None:
        """The commit that its ref means, if that is known now."""
        return self._refs.known(launch)

    def heard(self, launch: Launch, member: str, event: Event) -> None:
        """An event of a launch on this member: it may tell what the ref means, and that the image is there."""
        self._refs.learn(launch, event)
        self._holders.learn(launch, member, event)

    def listen(self, fact: Fact) -> None:
        """A listener: forgets members that are gone."""
        if isinstance(fact, Reconfigured):
            self._holders.listen(fact)

    def choose(self, launch: Launch) -> int | None:
        """The index in the pool's snapshot of the member that comes first, without the reasons; None when no member can
        take the launch. For launches whose end is not seen: nothing is known of their builds."""
        return choose(
            launch,
            self._pool.snapshot(),
            rules=self._in_force().policy,
            dice=self._dice,
            taken=self._pool.taken,
        )

    def explain(self, launch: Launch, views: Sequence[MemberView]) -> Decision:
        """What `choose` decided, when the members stood like this."""
        rules = self._in_force().policy
        return decide(launch, snapshot(views, rules), rules=rules, dice=self._dice)

    def under_way(self, launch: Launch, member: str) -> AbstractContextManager[Callable[[], None]]:
        """Further launches of this version go to the member as well, until the function is called or the block
        ends: if it builds, they join the build."""
        return self._joining.under_way(launch, member)
