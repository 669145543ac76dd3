"""When the front door must doubt itself rather than its members. Knows no probe.

Members that stand on different sites do not fail in the same moment; a name server or a network of one's own does
(mybinder.org, October 2023). When every member that should answer stopped answering at once, the last good view
is worth more than the newest looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from federation.core.model import TAKING, State
from federation.core.rules import HealthRules

FEWEST = 2  # of a single member nobody can say whether it or the way to it is down


@dataclass(frozen=True, slots=True)
class Silence:
    """One member, as far as doubt goes: when it stopped answering (None: its last look was answered, or it was never
    looked at), how many looks in a row had no answer, and the state it had when the first of them was made."""

    since: float | None
    looks: int
    before: State


def window(rules: HealthRules) -> float:
    """Within so many seconds all members are found silent, when they fell silent at once: they are not looked at in the
    same moment, and a look may wait for its timeout."""
    return 2 * (rules.interval * (1 + rules.jitter) + rules.timeout)


def fallen(members: Mapping[str, Silence], rules: HealthRules) -> tuple[str, ...]:
    """The members that took launches and fell silent at once, when that leaves nobody who answers; else none.

    Each must have missed as many looks as would eject it: one that answers the next look is no reason for doubt.
    Those that were silent for long before are as dead as they were. Drained ones have no say, and should not be given.
    """
    since = {
        name: member.since
        for name, member in members.items()
        if member.since is not None and member.looks >= rules.fall
    }
    if not members or len(since) < len(members):
        return ()
    first = max(since.values()) - window(rules)
    at_once = tuple(name for name in since if since[name] >= first and members[name].before in TAKING)
    return at_once if len(at_once) >= FEWEST else ()
