"""When the front door must doubt itself rather than its members. Knows no probe.

Members that stand on different sites do not fail in the same moment; a name server or a network of one's own does
(mybinder.org, October 2023). When every member that should answer stopped answering at once, the last good view
is worth more than the newest looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation.core.model import TAKING, State
from federation.core.rules import HealthRules

FEWEST = 2  # of a single member nobody can say whether it or the way to it is down


@dataclass(frozen=True, slots=True)
class Silence:
    """One member, as far as doubt goes: when it stopped answering (None: its last look was answered), and the state
    it had then."""

    since: float | None
    before: State


def window(rules: HealthRules) -> float:
    """Within so many seconds all members are found silent, when they fell silent at once: they are not looked at in the
    same moment, and a look may wait for its timeout."""
    return 2 * (rules.interval * (1 + rules.jitter) + rules.timeout)


def blind(members: Sequence[Silence], rules: HealthRules) -> bool:
    """Whether all members fell silent at once. Drained ones have no say, and should not be given."""
    since = [member.since for member in members if member.since is not None]
    if len(since) < max(FEWEST, len(members)):
        return False
    trusted = any(member.before in TAKING for member in members)
    return trusted and max(since) - min(since) <= window(rules)
