"""What operators set for members at run time, in place of the configuration. Knows no file and no request.

The configuration says what a member gets as a rule; an override says what it gets now. Each part of it ends by itself
when it has an end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

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


@dataclass(frozen=True, slots=True)
class Weigh:
    """To give it this weight."""

    weight: float


@dataclass(frozen=True, slots=True)
class Unweigh:
    """To give it the weight of the configuration again."""


@dataclass(frozen=True, slots=True)
class Drain:
    """To send it no further launches."""


@dataclass(frozen=True, slots=True)
class Undrain:
    """To let it take launches again, if it is well."""


Edit = Weigh | Unweigh | Drain | Undrain
LASTING = (Weigh, Drain)  # what may have an end


@dataclass(frozen=True, slots=True)
class Change:
    """What an operator, or the end of the time, changed for one member. `who` is the name of the token that it was
    done with, `by` what its holder said of who that is; both are empty when it ended by itself. `until` is when what
    was set ends. `id` numbers the changes from 1; 0: not kept yet."""

    at: float
    who: str
    by: str
    member: str
    before: Override
    after: Override
    reason: str = ""
    until: float | None = None
    id: int = 0


def edited(override: Override, edits: Iterable[Edit], word: Word) -> Override:
    """What is set after these edits, which all have the same word. What has no use for it keeps the one it had."""
    for edit in edits:
        match edit:
            case Weigh(weight):
                override = replace(override, weight=weight, weighted=word)
            case Unweigh():
                override = replace(override, weight=None, weighted=None)
            case Drain():
                override = replace(override, drained=word)
            case Undrain():
                override = replace(override, drained=None)
    return override


def with_one(overrides: Overrides, member: str, override: Override) -> Overrides:
    """The overrides with this one in place of the member's own."""
    others = {name: one for name, one in overrides.items() if name != member}
    return others if override == NOTHING_SET else {**others, member: override}


def tag(weight: float, override: Override) -> str:
    """A short text that is another one whenever something else is set for a member: its configured weight, or what
    operators set. Who set it is not in it, for everybody may read it."""
    words = [None if word is None else (word.at, word.until, word.reason) for word in _words(override)]
    told = json.dumps([weight, override.weight, *words])
    return sha256(told.encode()).hexdigest()[:20]


def _words(override: Override) -> tuple[Word | None, Word | None]:
    return override.weighted, override.drained


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
