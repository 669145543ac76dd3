"""What happens while an incident is open, and what it makes of it: timeline, affected launches, cause. Knows no rule
of when one begins or ends.

An incident is opened some time after its fault began. What happened meanwhile is put through the same functions then,
so that it counts as if the incident had been open from the beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from federation.core.blame import AGAINST_THE_MEMBER, BLAMES, Blame, blame
from federation.core.facts import (
    AttemptEnded,
    BlindnessChanged,
    Fact,
    LaunchEnded,
    Outcome,
    StateChanged,
    Steered,
)
from federation.core.incident import Cause, Incident, Kind, Note, brief, noted
from federation.core.lately import counts_against_us
from federation.core.model import State

Happening = StateChanged | BlindnessChanged | Steered | AttemptEnded | LaunchEnded
MOST_PENDING = 10_000  # launches under way that are remembered as affected

CAUSES: Mapping[Blame, Cause] = MappingProxyType(
    {
        Blame.MEMBER: Cause.MEMBER,
        Blame.REGISTRY: Cause.REGISTRY,
        Blame.GIT_HOST: Cause.GIT_HOST,
        Blame.CAPACITY: Cause.CAPACITY,
    }
)
STATES: Mapping[State, str] = MappingProxyType(
    {
        State.UNKNOWN: "{} is looked at anew",
        State.HEALTHY: "{} takes launches",
        State.DEGRADED: "{} takes only some launches",
        State.EJECTED: "{} takes no launches",
        State.TRIAL: "{} is on trial: one launch at a time decides",
        State.RECOVERING: "{} takes launches again, a few at first",
        State.DRAINED: "{} was drained",
    }
)


@dataclass(frozen=True, slots=True)
class Open:
    """An incident that goes on. `pending` are launches that it has affected and that have not ended."""

    incident: Incident
    pending: frozenset[int] = field(default=frozenset())


def telling(fact: Fact) -> Happening | None:
    """The fact, if it may be part of an incident's story. Launches that went well are not, though one that an incident
    has affected is: ask `ended` too."""
    match fact:
        case StateChanged() | BlindnessChanged() | Steered():
            return fact
        case AttemptEnded() if _lost(fact):
            return fact
        case LaunchEnded() if counts_against_us(fact) or fact.waited > 0:
            return fact
        case _:
            return None


def met(one: Open, fact: Happening, at: float) -> Open:
    """The incident after this happened."""
    incident = one.incident
    match fact:
        case StateChanged() if _about(incident, fact.member):
            words = STATES[fact.after].format(fact.member)
            reason = f": {fact.reason}" if fact.reason else ""
            return replace(one, incident=noted(incident, at, f"{words}{reason}."))
        case Steered() if _about(incident, fact.member):
            return replace(one, incident=noted(incident, at, steering(fact)))
        case BlindnessChanged() if not incident.member:
            words = "No member answers any more" if fact.since is not None else "A member answers again"
            return replace(one, incident=noted(incident, at, f"{words}."))
        case AttemptEnded() if _lost(fact) and _about(incident, fact.member):
            return _attempt(one, fact, at)
        case LaunchEnded():
            return _launch(one, fact, at)
        case _:
            return one


def steering(fact: Steered) -> str:
    """What operators did, in a sentence without their names."""
    who, name = ("Operators", fact.member) if fact.by else ("The time that was set is over:", fact.member)
    reason = f": {fact.reason}" if fact.reason else ""
    drained = fact.after.drained is not None
    if drained != (fact.before.drained is not None):
        if fact.by:
            return f"{who} {'drained' if drained else 'undrained'} {name}{reason}."
        return f"{who} {name} is {'drained' if drained else 'no longer drained'}{reason}."
    weight = "that of the configuration" if fact.after.weight is None else f"{fact.after.weight:g}"
    if fact.by:
        return f"Operators set the weight of {name} to {weight}{reason}."
    return f"{who} the weight of {name} is {weight}{reason}."


def cause_of(incident: Incident, *, ejected: bool = True) -> Cause:
    """Whose fault it seems to be: what most of the failed attempts say, else what its kind or reason does. `ejected`
    tells whether a member is out by its own fault."""
    match incident.kind:
        case Kind.BLIND:
            return Cause.FRONT_DOOR
        case Kind.WAITING:
            return Cause.CAPACITY
        case _:
            pass
    votes: Counter[Cause] = Counter()
    for word, count in incident.causes:
        if (cause := CAUSES.get(BLAMES.get(word, Blame.UNKNOWN))) is not None:
            votes[cause] += count
    if votes:
        return votes.most_common(1)[0][0]
    if incident.kind is Kind.LAUNCHES_FAIL or not ejected:
        return Cause.UNKNOWN
    return Cause.REGISTRY if "registry" in incident.reason.lower() else Cause.MEMBER


def _about(incident: Incident, member: str) -> bool:
    return not incident.member or incident.member == member


def _lost(fact: AttemptEnded) -> bool:
    return fact.outcome is Outcome.LOST and blame(fact.outcome, fact.cause) in AGAINST_THE_MEMBER


def _attempt(one: Open, fact: AttemptEnded, at: float) -> Open:
    incident = _with_cause(one.incident, fact.cause)
    pending = one.pending
    if incident.kind in (Kind.MEMBER_OUT, Kind.BLIND) and fact.id not in pending:
        incident = _affected(incident, at, f"launch was lost on {fact.member}: {fact.why}")
        pending = pending | {fact.id} if len(pending) < MOST_PENDING else pending
    return Open(incident, pending)


def _launch(one: Open, fact: LaunchEnded, at: float) -> Open:
    incident, known = one.incident, fact.id in one.pending
    failed = counts_against_us(fact)
    waits = incident.kind in (Kind.WAITING, Kind.NO_MEMBER) and fact.waited > 0
    if not known and incident.kind is not Kind.MEMBER_OUT and (failed or waits):
        if failed and blame(fact.outcome, fact.cause) in CAUSES:
            incident = _with_cause(incident, fact.cause)
        how = f"failed: {fact.cause.replace('_', ' ')}" if failed else f"waited for {fact.waited:.0f} s"
        incident, known = _affected(incident, at, f"launch {how}"), True
    if known and failed:
        incident = replace(incident, failed=incident.failed + 1)
    return Open(incident, one.pending - {fact.id} if fact.id in one.pending else one.pending)


def _affected(incident: Incident, at: float, words: str) -> Incident:
    """One launch more. The first one is in the timeline at once, and the last one always."""
    counted = replace(incident, affected=incident.affected + 1)
    if not incident.affected:
        return noted(counted, at, f"The first {words}".rstrip(".") + ".")
    return replace(counted, latest=Note(at, brief(f"The last {words}".rstrip(".") + ".")))


def _with_cause(incident: Incident, word: str) -> Incident:
    counts = Counter(dict(incident.causes))
    counts[word if word in BLAMES else "other"] += 1
    return replace(incident, causes=tuple(sorted(counts.items())))
