"""What operators set for members at run time, in place of the configuration. Knows no file and no request.

The configuration says what a member gets as a rule; an override says what it gets now. Each part of it ends by itself
when it has an end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from federation.core.model import Member


@dataclass(frozen=True, slots=True)
class Word:
    """Who set something, why and when; `until` is when it ends by itself. Times are seconds since the epoch."""

    by: str
    reason: str = ""
    at: float = 0.0
    until: float | None = None

    def holds(self, now: float) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Override:
    """What is set for one member: a `weight`, with `weighted` as whose word that is, and whether it is `drained`."""

    weight: float | None = None
    weighted: Word | None = None
    drained: Word | None = None

    def now(self, now: float) -> Override:
        """What is left of it at this time."""
        weight = self.weighted if self.weighted is not None and self.weighted.holds(now) else None
        drained = self.drained if self.drained is not None and self.drained.holds(now) else None
        return Override(None if weight is None else self.weight, weight, drained)


NOTHING_SET = Override()
Overrides = Mapping[str, Override]  # by member; one without an override is not in it


def applied(members: Iterable[Member], overrides: Overrides, now: float) -> tuple[Member, ...]:
    """The members as they are to be now."""
    return tuple(_applied(member, overrides.get(member.name, NOTHING_SET).now(now)) for member in members)


def _applied(member: Member, override: Override) -> Member:
    if override.weight is not None:
        member = replace(member, weight=override.weight)
    if override.drained is not None:
        member = replace(member, weight=0.0, drained=why_drained(override.drained))
    return member


def why_drained(word: Word) -> str:
    """The reason that the public reads: without the operator's name."""
    return f"drained: {word.reason}" if word.reason else "drained"
