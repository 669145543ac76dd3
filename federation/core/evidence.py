"""How launches on one member ended lately, and whether that is worse than on its peers. Knows no state of health.

**The test.** A member that has broken has done so at some moment, and what it did well before says nothing any
more. So each run of its launches that begins with a failure and lasts until now is compared with what its peers
did since then (in the spirit of E. S. Page, "Continuous inspection schemes", 1954). The comparison is a Bayes
factor: how much better the run is foretold by a success ratio of the member's own, of which nothing is known
(Beta(1, 1)), than by that of its peers, known from their launches. Both are beta-binomial. Above 100 the
evidence counts as decisive (R. E. Kass and A. E. Raftery, "Bayes factors", 1995).

**What keeps it from ejecting the wrong one.**

- Peers differ a little even when all are well, so no more of their successes count than six and as many as the
  run has itself. Three failures in a row are then decisive, or four of six, and three of four are not: chance
  alone ejects a well member that fails with probability p about once in 1 / p³ launches.
- A failure that no other member mended counts once for each repository, however often it happens: it may be the
  repository's. Three failures at least must count, from two sources at least.
- When launches fail on peers too and go well nowhere, the cause is shared and nobody is worse. Peers that only
  failed are left out as long as others do well: two broken members must not hide one another.
- A failure of the registry or the git host does not count when another member told the same of it lately.

A launch that failed wherever it was tried is to be taken back with `withdrawn`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from federation.core.blame import AGAINST_THE_MEMBER, SHARED, Blame, blame
from federation.core.facts import AttemptEnded, CanaryEnded, Outcome
from federation.core.model import Tally

WINDOW = 1800.0  # seconds until an outcome says nothing of the present
MOST = 50  # outcomes that are kept of a member
SHARED_WITHIN = 300.0  # seconds between two members' failures that may have one cause
SICK, SUSPECT = 100.0, 10.0  # Bayes factors
FEWEST = 3  # failures that make a member sick; with fewer by one it is suspect
LEAST_FACTOR = 0.1
STUCK = "stuck"  # the cause of a launch that stood still until another member was ready
_PRIOR_GOOD, _PRIOR_BAD = 5.0, 0.5  # of peers that are not known: worth five launches, of which few failed
_KNOWN = 6.0  # launches


@dataclass(frozen=True, slots=True)
class Sample:
    """How one launch ended on a member, in so far as it speaks of the member. `at` is in seconds since the epoch,
    `launch` is `AttemptEnded.id`. `confirmed` tells that a failed one was ready on another member."""

    at: float
    launch: int
    repo_key: str
    good: bool
    blame: Blame = Blame.MEMBER
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """How launches ended that are known from counters alone. They may be of one repository or of many, so it
    takes two batches to make a member sick."""

    at: float
    good: int
    bad: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one member, the newest last."""

    ended: tuple[Sample | Batch, ...] = ()


@dataclass(frozen=True, slots=True)
class Opinion:
    """`factor` is what the member's weight is to be multiplied by, in (0, 1]. `why` is empty when it seems well."""

    sick: bool = False
    suspect: bool = False
    factor: float = 1.0
    why: str = ""


WELL = Opinion()


def sample_of(fact: AttemptEnded | CanaryEnded, at: float) -> Sample | None:
    """What an attempt says of its member; None when it says nothing."""
    good = fact.outcome is Outcome.READY
    whose = blame(fact.outcome, fact.cause)
    if not good and whose not in AGAINST_THE_MEMBER:
        return None
    # A standstill is told after the `ready` of the member that mended it, which therefore confirmed nothing yet.
    mended = fact.cause == STUCK
    return Sample(at, fact.id, fact.launch.repo_key, good, whose or Blame.MEMBER, confirmed=mended)


def added(evidence: Evidence, sample: Sample) -> Evidence:
    return _with(evidence, sample)


def counted(evidence: Evidence, now: float, good: int, bad: int) -> Evidence:
    """Adds launches that counters tell of: what they grew by, and so neither number is below 0."""
    if good <= 0 and bad <= 0:
        return evidence
    return _with(evidence, Batch(now, max(0, good), max(0, bad)))


def withdrawn(evidence: Evidence, launch: int) -> Evidence:
    """Without the failures of a launch that failed on every member that it was tried on."""
    kept = tuple(one for one in evidence.ended if not _failure_of(one, launch))
    return evidence if len(kept) == len(evidence.ended) else Evidence(kept)


def confirmed(evidence: Evidence, launch: int) -> Evidence:
    """With the failures of a launch that was ready on another member as the member's beyond doubt."""
    if not any(_failure_of(one, launch) for one in evidence.ended):
        return evidence
    return Evidence(
        tuple(
            replace(one, confirmed=True) if isinstance(one, Sample) and _failure_of(one, launch) else one
            for one in evidence.ended
        )
    )


def mended(evidence: Evidence, launch: int, now: float) -> bool:
    """Whether this launch was ready on the member lately: where it fails, that is no fault of its repository."""
    return any(
        isinstance(one, Sample) and one.good and one.launch == launch for one in _recent(evidence, now)
    )


def cleared() -> Evidence:
    """What is known of a member after a trial that it passed: nothing that it did before."""
    return Evidence()


def tally(evidence: Evidence, now: float) -> Tally:
    good = bad = 0
    for one in _recent(evidence, now):
        good, bad = good + _good(one), bad + _bad(one)
    return Tally(good, bad)


def judged(evidence: Evidence, peers: Sequence[Evidence], now: float) -> Opinion:
    """What this member's launches say of it beside those of its peers: the other members that take launches."""
    own = _recent(evidence, now)
    if not any(map(_bad, own)):
        return WELL
    others = [_recent(peer, now) for peer in peers]
    runs = list(_runs([one for one in own if not _shared(one, others)], others))
    firm = max((run for run in runs if run.firm), key=lambda run: run.log_factor, default=None)
    if firm is not None and firm.log_factor > math.log(SICK):
        return Opinion(sick=True, suspect=True, factor=LEAST_FACTOR, why=firm.why)
    doubt = max((run for run in runs if run.bad >= FEWEST - 1), key=lambda run: run.log_factor, default=None)
    if doubt is not None and doubt.log_factor > math.log(SUSPECT):
        factor = max(LEAST_FACTOR, math.exp(math.log(SUSPECT) - doubt.log_factor))
        return Opinion(suspect=True, factor=factor, why=doubt.why)
    return WELL


@dataclass(slots=True)
class _Sum:
    """Launches that count, and from how many sources the failures among them are."""

    good: int = 0
    bad: int = 0
    sources: int = 0
    repos: set[str] = field(default_factory=set)

    def add(self, one: Sample | Batch) -> None:
        if isinstance(one, Batch):
            self.good += one.good
            self.bad += one.bad
            self.sources += one.bad > 0
        elif one.good:
            self.good += 1
        elif one.confirmed or one.repo_key not in self.repos:
            self.bad += 1
            self.sources += 1
            if not one.confirmed:
                self.repos.add(one.repo_key)


class _Peer:
    """How launches on one peer ended since a moment that only moves back, and in all."""

    __slots__ = ("_left", "since", "whole")

    def __init__(self, ended: Sequence[Sample | Batch]) -> None:
        self.since, self.whole = _Sum(), _Sum()
        self._left = list(ended)
        for one in ended:
            self.whole.add(one)

    def back_to(self, at: float) -> None:
        while self._left and self._left[-1].at >= at:
            self.since.add(self._left.pop())


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Launches on the peers since a moment, and before it."""

    good: int
    bad: int
    old_good: int
    old_bad: int

    def expected(self, own_good: int) -> tuple[float, float]:
        """The Beta distribution of the peers' success ratio. Old launches count as far as there are few others.

        How much is known does not depend on the failures of the member itself: one more must never help it.
        """
        good, bad, old = float(self.good), float(self.bad), self.old_good + self.old_bad
        if old and good + bad < _KNOWN:
            share = min(1.0, (_KNOWN - good - bad) / old)
            good, bad = good + share * self.old_good, bad + share * self.old_bad
        scale = min(1.0, (_KNOWN + own_good) / good) if good else 1.0
        return _PRIOR_GOOD + scale * good, _PRIOR_BAD + scale * bad


@dataclass(frozen=True, slots=True)
class _Run:
    """The member's launches from one failure until now."""

    log_factor: float
    good: int
    bad: int
    firm: bool  # enough failures from enough sources to act on
    elsewhere: _Elsewhere

    @property
    def why(self) -> str:
        here, there = f"{self.bad} of its last {self.good + self.bad} launches failed", self.elsewhere
        failed, number = there.bad, there.good + there.bad
        if not number:
            failed, number = there.old_bad, there.old_good + there.old_bad
        return f"{here}, {failed} of {number} on other members" if number else here


def _runs(own: Sequence[Sample | Batch], others: Iterable[Sequence[Sample | Batch]]) -> Iterator[_Run]:
    """The runs in which the member did worse than its peers, the shortest first."""
    peers = [_Peer(ended) for ended in others]
    run = _Sum()
    for one in reversed(own):
        run.add(one)
        if not _bad(one):
            continue
        elsewhere = _since(one.at, peers)
        if elsewhere is None:
            continue
        good, bad = run.good, run.bad
        alpha, beta = elsewhere.expected(good)
        if (1 + bad) * (alpha + beta + good + bad) <= (beta + bad) * (2 + good + bad):
            continue  # the next launch is no likelier to fail here than there
        of_its_own = _log_beta(1 + good, 1 + bad)
        as_its_peers = _log_beta(alpha + good, beta + bad) - _log_beta(alpha, beta)
        firm = bad >= FEWEST and run.sources > 1
        yield _Run(of_its_own - as_its_peers, good, bad, firm, elsewhere)


def _since(at: float, peers: Iterable[_Peer]) -> _Elsewhere | None:
    """What the peers did since then; None when launches failed there too and went well nowhere."""
    good = bad = old_good = old_bad = 0
    some_failed_only = False
    for peer in peers:
        peer.back_to(at)
        since, whole = peer.since, peer.whole
        if since.bad and not since.good:
            some_failed_only = True
            continue
        good, bad = good + since.good, bad + since.bad
        old_good, old_bad = old_good + whole.good - since.good, old_bad + whole.bad - since.bad
    if some_failed_only and not good:
        return None
    return _Elsewhere(good, bad, old_good, old_bad)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _shared(one: Sample | Batch, others: Iterable[Sequence[Sample | Batch]]) -> bool:
    """Whether this is a failure of a service that let another member down as well."""
    if not isinstance(one, Sample) or one.good or one.blame not in SHARED:
        return False
    return any(
        isinstance(other, Sample)
        and not other.good
        and other.blame is one.blame
        and abs(other.at - one.at) <= SHARED_WITHIN
        for ended in others
        for other in ended
    )


def _with(evidence: Evidence, one: Sample | Batch) -> Evidence:
    return Evidence((*evidence.ended, one)[-MOST:])


def _recent(evidence: Evidence, now: float) -> list[Sample | Batch]:
    """A clock that was set back makes old ones new for a while, never longer than `WINDOW`."""
    return [one for one in evidence.ended if abs(now - one.at) <= WINDOW]


def _failure_of(one: Sample | Batch, launch: int) -> bool:
    return isinstance(one, Sample) and one.launch == launch and not one.good


def _good(one: Sample | Batch) -> int:
    return one.good if isinstance(one, Batch) else int(one.good)


def _bad(one: Sample | Batch) -> int:
    return one.bad if isinstance(one, Batch) else int(not one.good)
