"""How launches ended lately, as visitors saw it: one click is one launch, however many members it took. Knows no clock.

Success leaves out what is not the federation's: a repository that cannot be built, a visitor who left or was refused by
a rule. So a share below the whole always means that somebody who could have been served was not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from federation.core.blame import Blame, blame
from federation.core.facts import LaunchEnded, Outcome

NOT_OURS = frozenset({Blame.REPOSITORY, Blame.VISITOR})


class Judgement(StrEnum):
    """What a launch's end says of the federation."""

    GOOD = "good"  # ready
    BAD = "bad"  # the federation let this visitor down
    NOT_OURS = "not_ours"  # the repository's or the visitor's own, or not seen


def judgement(end: LaunchEnded) -> Judgement:
    """The one rule by which pages, metrics and promises count launches."""
    if end.outcome is Outcome.READY:
        return Judgement.GOOD
    return Judgement.BAD if counts_against_us(end) else Judgement.NOT_OURS


@dataclass(frozen=True, slots=True)
class Lately:
    """Launches that ended. `good` were ready, `bad` failed by a fault of the federation; `p50` and `p95` are
    seconds from the click to `ready`, None when none was."""

    launches: int = 0
    good: int = 0
    bad: int = 0
    p50: float | None = None
    p95: float | None = None

    @property
    def success(self) -> float | None:
        """The share that visitors got what they came for, of 1; None when none tells."""
        told = self.good + self.bad
        return self.good / told if told else None


def counts_against_us(end: LaunchEnded) -> bool:
    """Whether the federation let this visitor down."""
    return let_down(end.outcome, end.cause)


def let_down(outcome: Outcome, cause: str) -> bool:
    """The same, of a launch of which no more is known."""
    return outcome is Outcome.FAILED and blame(outcome, cause) not in NOT_OURS


def summed(ends: Iterable[LaunchEnded]) -> Lately:
    """These launches in figures."""
    launches = good = bad = 0
    seconds: list[float] = []
    for end in ends:
        launches += 1
        match judgement(end):
            case Judgement.GOOD:
                good += 1
                seconds.append(end.seconds)
            case Judgement.BAD:
                bad += 1
            case Judgement.NOT_OURS:
                pass
    seconds.sort()
    return Lately(launches, good, bad, quantile(seconds, 0.5), quantile(seconds, 0.95))


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The value below which this share of the ordered values lies, by nearest rank; None without any."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, ceil(share * len(ordered)) - 1))]
