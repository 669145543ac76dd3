"""Which members may take a launch and in which order, with the reasons. Knows no I/O.

Every member is either a candidate or excluded with a reason. Affinity orders those that are equally fit, and no
others: a member over its fair share is passed over, a degraded one comes after all others. When nobody is
fit, the last resort is made of those not known to be ill: the not yet probed, then the full, whose numbers may
be a minute old, then those on trial.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain, islice

from federation.core.model import Candidate, Decision, Exclusion, Launch, MemberView, Operation, State
from federation.core.policies import POLICIES, Dice, Policy
from federation.core.rules import PolicyRules
from federation.core.snapshot import Snapshot
from federation.core.verdict import QUOTA_CHECK

NOBODY = "no member can take a launch"
ASKED = "asked for by ?member="
BUILDING = "it may be building this version already"
HOLDING = "it holds the image"
LAST_RESORT = "a last resort, as no member is known to be well and have room"
BLIND = "by the last good view, as all members seem to have failed at once"

# Places in the order, best first. Those of a degraded member come `_LATE` after those of others.
_HOLDER, _FREE, _SPILLED = 0, 1, 2
_LATE = 3
_UNSEEN, _FULL, _ON_TRIAL = 6, 7, 8  # the last resort
_OUT = 9


def refusal(view: MemberView, headroom: int) -> str | None:
    """Why this member takes no launch at all now, or None if it takes some. Launches under way take seats already.

    For whoever makes views; all others read `MemberView.refusal`.
    """
    if view.state is State.DRAINED:
        return view.reason
    if not view.fit:
        return view.reason if view.state is State.UNKNOWN else f"ejected: {view.reason}"
    return _withheld(view) or _full(view, headroom)


def joinable(view: MemberView) -> bool:
    """Whether one more launch may wait for a build on this member: it is well, and its sessions leave room."""
    if view.state not in (State.HEALTHY, State.RECOVERING):
        return False
    return view.seats is None or view.capacity is None or view.seats.used < view.capacity


def health_label(view: MemberView) -> str:
    """The refusal in few words, for metrics: without numbers and an operator's own words, and full under the name of
    upstream's check."""
    if view.member.drained:
        return "drained"
    if not view.fit:
        return view.reason
    if view.refusal is None:
        return ""
    if _busy(view):
        return "busy"
    return view.reason if _withheld(view) else QUOTA_CHECK


def decide(
    launch: Launch,
    snapshot: Snapshot,
    *,
    rules: PolicyRules,
    dice: Dice,
    tried: Collection[str] = (),
    builders: Sequence[str] = (),
    holders: AbstractSet[str] = frozenset(),
    taken: Sequence[int] | None = None,
) -> Decision:
    """The order in which members are tried for this launch, without those `tried` already.

    `builders` may be building this version now. The first of them that can be joined comes first, even when
    launches under way have taken all its seats: one of two builds would be for nothing, and waiting for the build
    takes no seat. One that died in its build is still named by the launches that have not noticed yet.
    `holders` are known to have its image. `taken` are the launches that were sent to each member since the snapshot.
    """
    case = _case(launch, snapshot, tried, builders, holders, taken)
    policy = POLICIES[rules.order]
    order = tuple(policy.order(launch.repo_key, snapshot.table, dice))
    places = {index: place for index in order if (place := case.place(index)) != _OUT}
    last_resort = bool(places) and min(places.values()) >= _UNSEEN
    if not last_resort:
        places = {index: place for index, place in places.items() if place < _UNSEEN}
    ranked = sorted(places, key=places.__getitem__)
    why = _why(policy, order, ranked, places)
    if case.builder is not None:
        ranked, why = _led(ranked, case.builder), BUILDING
    if (wish := case.wish()) in places:
        ranked, why = _led(ranked, wish), ASKED
    elif launch.prefer:
        why = f"{why}, as the member asked for cannot take it"
    return Decision(
        launch,
        tuple(
            Candidate(
                snapshot.views[index],
                policy.score(launch.repo_key, snapshot.table, index),
                _note(case, index, places[index]),
            )
            for index in ranked
        ),
        tuple(
            Exclusion(view.member.name, case.reason(index) or NOBODY)
            for index, view in enumerate(snapshot.views)
            if index not in places
        ),
        f"{why}, {BLIND}" if snapshot.blind else why,
        last_resort,
    )


def choose(
    launch: Launch,
    snapshot: Snapshot,
    *,
    rules: PolicyRules,
    dice: Dice,
    tried: Collection[str] = (),
    builders: Sequence[str] = (),
    holders: AbstractSet[str] = frozenset(),
    taken: Sequence[int] | None = None,
) -> int | None:
    """The index of the member that `decide` puts first, None when there is no candidate.

    It looks at no more members than it must: as a rule at one, however many there are.
    """
    order = iter(POLICIES[rules.order].order(launch.repo_key, snapshot.table, dice))
    if not (tried or builders or holders or launch.prefer):
        # The commonest case by far, and what follows would find no better one.
        for first in order:
            load = snapshot.loads[first] + (0 if taken is None else taken[first])
            if snapshot.plain[first] and load < snapshot.limits[first]:
                return first
            order = chain((first,), order)
            break
    case = _case(launch, snapshot, tried, builders, holders, taken)
    wish = case.wish()
    if wish >= 0 and case.place(wish) < _UNSEEN:
        return wish
    if case.builder is not None:
        return case.builder
    best, place = _first(case, order)
    if place >= _UNSEEN and wish >= 0 and case.place(wish) != _OUT:
        return wish
    return best


@dataclass(frozen=True, slots=True)
class _Case:
    """One launch before one snapshot. Members are indices."""

    launch: Launch
    snapshot: Snapshot
    tried: Collection[str]
    holders: AbstractSet[str]
    taken: Sequence[int] | None
    builder: int | None  # whose build further launches wait for

    def wish(self) -> int:
        """The member asked for; -1 if there is none."""
        return self.snapshot.index.get(self.launch.prefer, -1) if self.launch.prefer else -1

    def load(self, index: int) -> int:
        return self.snapshot.loads[index] + (0 if self.taken is None else self.taken[index])

    def reason(self, index: int) -> str | None:
        """Why this member is no candidate, unless as a last resort."""
        view = self.snapshot.views[index]
        if self.tried and view.member.name in self.tried:
            return "already tried"
        if index == self.builder:
            return None
        if view.refusal is not None and not _builds_only(view, self.launch):
            return view.refusal
        if self.snapshot.table.weights[index] <= 0:
            return "weight 0"
        if view.lost and (reason := _unable(view, self.launch, self.holders)):
            return reason
        if self.load(index) >= self.snapshot.rooms[index]:
            return f"full: {self.load(index)} of {view.capacity} seats, since it was last looked at"
        return None

    def place(self, index: int) -> int:
        view = self.snapshot.views[index]
        if self.reason(index) is not None:
            return self.last_place(index)
        late = _LATE if view.state is State.DEGRADED else 0
        if self.load(index) >= self.snapshot.limits[index]:
            return late + _SPILLED
        return late + (_HOLDER if view.member.name in self.holders else _FREE)

    def last_place(self, index: int) -> int:
        """Where a member that is not fit comes among the last resort."""
        view = self.snapshot.views[index]
        if view.member.name in self.tried or self.snapshot.table.weights[index] <= 0:
            return _OUT
        if _unable(view, self.launch, self.holders):
            return _OUT
        if view.state is State.UNKNOWN:
            return _UNSEEN
        if view.fit:
            return _ON_TRIAL if view.state is State.TRIAL else _FULL
        return _OUT


def _case(
    launch: Launch,
    snapshot: Snapshot,
    tried: Collection[str],
    builders: Sequence[str],
    holders: AbstractSet[str],
    taken: Sequence[int] | None,
) -> _Case:
    builder = None
    for name in builders:
        index = snapshot.index.get(name)
        if index is None or name in tried or snapshot.table.weights[index] <= 0:
            continue
        view = snapshot.views[index]
        if joinable(view) and not _unable(view, launch, holders):
            builder = index
            break
    return _Case(launch, snapshot, tried, holders, taken, builder)


def _first(case: _Case, order: Iterable[int]) -> tuple[int | None, int]:
    """The member with the best place, the first of equals, and its place."""
    names, index_of = case.snapshot.table.names, case.snapshot.index
    held = (index_of[name] for name in case.holders if name in index_of)
    ready = list(islice((index for index in held if case.place(index) == _HOLDER), 2))
    if len(ready) == 1:
        return ready[0], _HOLDER
    hoped = _HOLDER if ready else _FREE
    best, least = None, _OUT
    for index in order:
        if least <= _FREE and names[index] not in case.holders:
            continue  # only a holder can be better
        place = case.place(index)
        if place < least:
            best, least = index, place
            if place <= hoped:
                break
    return best, least


def _unable(view: MemberView, launch: Launch, holders: AbstractSet[str]) -> str | None:
    """What this member cannot do that the launch needs of it."""
    if Operation.LAUNCH in view.lost and Operation.LAUNCH in launch.needs:
        return f"starts no sessions now: {view.reason}"
    if Operation.BUILD in view.lost and view.member.name not in holders:
        return f"takes only images that it holds: {view.reason}"
    return None


def _builds_only(view: MemberView, launch: Launch) -> bool:
    """Whether this member, which starts no sessions, can do what this launch asks for, which needs none."""
    degraded = view.state is State.DEGRADED and view.lost == {Operation.LAUNCH}
    return degraded and launch.needs == {Operation.BUILD}


def _withheld(view: MemberView) -> str | None:
    """Why a member that its state lets take launches takes none, whatever seats it has."""
    if Operation.LAUNCH in view.lost:
        return f"starts no sessions now: {view.reason}"
    if view.state is State.TRIAL and view.leases:
        return "on trial, with the one launch that decides"
    if _busy(view):
        return f"busy: {view.starting} launches start there, as many as it has shown to manage at once"
    return None


def _busy(view: MemberView) -> bool:
    return view.intake is not None and view.starting >= view.intake


def _full(view: MemberView, headroom: int) -> str | None:
    if view.free is None or view.free > headroom:
        return None
    used = 0 if view.seats is None else view.seats.used
    return f"full: {used} of {view.capacity} seats, {view.leases} launches under way"


def _why(policy: Policy, order: Sequence[int], ranked: Sequence[int], places: dict[int, int]) -> str:
    """Why the first of them comes first, before any wish."""
    if not ranked:
        return NOBODY
    if places[ranked[0]] >= _UNSEEN:
        return LAST_RESORT
    if ranked[0] == order[0]:
        return policy.why
    return HOLDING if places[ranked[0]] % _LATE == _HOLDER else policy.why_next


def _note(case: _Case, index: int, place: int) -> str:
    """Why a candidate is not where its score would put it."""
    if place >= _UNSEEN:
        return case.reason(index) or ""
    if index == case.builder:
        return BUILDING
    view, notes = case.snapshot.views[index], []
    if place >= _LATE:
        notes.append(f"degraded: {view.reason}")
    if place % _LATE == _SPILLED:
        bound = case.snapshot.limits[index]
        notes.append(f"passed over: load {case.load(index)}, and affinity may give it {bound:g}")
    if place % _LATE == _HOLDER:
        notes.append(HOLDING)
    if view.pacing.factor < 1:
        notes.append(view.pacing.reason)
    return "; ".join(notes)


def _led(ranked: list[int], first: int) -> list[int]:
    return [first, *(index for index in ranked if index != first)]
