"""What is told of one launch's decisions, as records and as plain data. Knows no buffer, no file and no request.

Nothing personal is in it: no visitor, no query string, and no credentials that a repository's URL may carry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from federation.core.facts import AttemptEnded, Chosen, LaunchEnded, Overdue
from federation.core.launchkey import shown
from federation.core.model import Candidate, Decision, Launch, MemberView
from federation.core.told import text

Told = Chosen | Overdue | AttemptEnded | LaunchEnded
Figures = Callable[[Candidate], dict[str, Any]]

UNDER_WAY = "under_way"  # in the place of an outcome
_PREFIX = "/build/"
_LONGEST = 500  # characters of a reason
_LONGEST_SPEC = 300


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one launch: its facts in the order in which they came. `at` is when the first did, in
    seconds since the epoch."""

    id: int
    launch: Launch
    at: float
    told: tuple[Told, ...] = ()

    @property
    def choices(self) -> tuple[Chosen, ...]:
        return tuple(fact for fact in self.told if isinstance(fact, Chosen))

    @property
    def end(self) -> LaunchEnded | None:
        return next((fact for fact in self.told if isinstance(fact, LaunchEnded)), None)

    @property
    def outcome(self) -> str:
        return UNDER_WAY if self.end is None else self.end.outcome.value


def wanted(spec: str) -> str:
    """What `concerns` compares: a beginning of `provider/…/ref`, encoded or not, or of a repository's key."""
    bare = spec.strip().lstrip("/")
    return shown(bare.removeprefix("build/").removeprefix("v2/")).lower()


def concerns(launch: Launch, beginning: str) -> bool:
    """Whether the launch's spec, or its repository's key, begins like this. What is hidden is not compared,
    so that nobody can guess it."""
    names = (launch.path, launch.repo_key)
    return any(shown(name).removeprefix(_PREFIX).lower().startswith(beginning) for name in names)


def summary(record: Record) -> dict[str, Any]:
    """The launch in short: every decision with its scores and reasons, how each attempt and the whole ended."""
    return _record(record, _brief)


def detail(record: Record) -> dict[str, Any]:
    """The launch with all figures that each decision saw."""
    return _record(record, lambda candidate: figures(candidate, record.at))


def explained(decision: Decision, now: float) -> dict[str, Any]:
    """A decision that was made only to be shown, with all its figures."""
    return {**_about(decision.launch), **_decision(decision, lambda candidate: figures(candidate, now))}


def figures(candidate: Candidate, now: float) -> dict[str, Any]:
    """One candidate with what its place came from."""
    view = candidate.view
    return {
        **_brief(candidate),
        "effective_weight": view.weight,
        "pace": view.pacing.factor,
        "load": view.load,
        "leases": view.leases,
        "capacity": view.capacity,
        "free": view.free,
        **evidence(view, now),
    }


def evidence(view: MemberView, now: float) -> dict[str, Any]:
    """What is known of a member beside its own word: outcomes, signals with their ages in seconds, and what it
    cannot do now."""
    return {
        "tally": {"good": view.tally.good, "bad": view.tally.bad},
        "lost": sorted(view.lost),
        "signals": {
            name: {"value": signal.value, "age": round(max(0.0, now - signal.at), 3)}
            for name, signal in view.signals.items()
        },
    }


def why(decision: Decision, chosen: str | None, name: str, verb: str = "was") -> str:
    """The sentence that says why this member was chosen, or why not. `verb` sets its tense."""
    reason, refusal = _said(decision.why), _refusal(decision, name)
    place, note = _place(decision, name)
    if name == chosen:
        against = "; ".join(filter(None, (refusal, note)))
        return f"{name} {verb} chosen: {reason}" + (f" ({against})." if against else ".")
    if refusal:
        return f"{name} {verb} not chosen: {refusal}."
    if not place:
        return f"{name} {verb} not chosen: no member of this name had any weight."
    if chosen is None:
        return f"{name} {verb} not chosen: the launch had no attempt left."
    order = f"number {place} of {len(decision.candidates)} in the order, behind {chosen} ({reason})"
    return f"{name} {verb} not chosen: {order}" + (f"; {note}." if note else ".")


def about(record: Record, name: str) -> str:
    """Why this launch went to this member or did not, over all its attempts."""
    end, choices = record.end, record.choices
    sentences = [_about_choice(record, choice, name, len(choices) > 1) for choice in choices]
    if end is not None and end.decision is not None:
        sentences.append(("In the end: " if choices else "") + why(end.decision, None, name))
    if not sentences:
        outcome = record.outcome.replace("_", " ")
        sentences.append(f"{name} was not chosen: no member has been, the launch is {outcome}.")
    return " ".join(sentences)


def _refusal(decision: Decision, name: str) -> str:
    """Why this member was excluded, empty when it was not."""
    return next((_said(one.reason) for one in decision.exclusions if one.name == name), "")


def _place(decision: Decision, name: str) -> tuple[int, str]:
    """The member's place in the order, from 1, and what is noted of it; 0 when it was no candidate."""
    for place, one in enumerate(decision.candidates, 1):
        if one.view.member.name == name:
            return place, _said(one.note)
    return 0, ""


def _about_choice(record: Record, choice: Chosen, name: str, numbered: bool) -> str:
    sentence = why(choice.decision, choice.member, name)
    ended = _ending(record, choice.attempt)
    if name == choice.member and ended is not None:
        sentence = f"{sentence[:-1]}; there it ended as {ended.outcome.value}: {_said(ended.why)}."
    return f"Attempt {choice.attempt}: {sentence}" if numbered else sentence


def _record(record: Record, candidates: Figures) -> dict[str, Any]:
    end = record.end
    told: dict[str, Any] = {
        "id": record.id,
        "at": round(record.at, 3),
        **_about(record.launch),
        "outcome": record.outcome,
        "member": None if end is None else end.member,
        "cause": None if end is None else end.cause,
        "seconds": None if end is None else round(end.seconds, 3),
        "waited": None if end is None else round(end.waited, 3),
        "attempts": list(_attempts(record, candidates)),
    }
    if end is not None and end.decision is not None:
        told["nobody_left"] = _decision(end.decision, candidates)
    return told


def _attempts(record: Record, candidates: Figures) -> Iterator[dict[str, Any]]:
    for choice in record.choices:
        ended, overdue = _ending(record, choice.attempt), _overdue(record, choice.attempt)
        yield {
            "attempt": choice.attempt,
            "member": choice.member,
            **_decision(choice.decision, candidates),
            "overdue": None
            if overdue is None
            else {"phase": text(overdue.phase), "seconds": round(overdue.seconds, 3)},
            "ended": None
            if ended is None
            else {
                "outcome": ended.outcome.value,
                "cause": ended.cause,
                "why": _said(ended.why),
                "phase": text(ended.phase),
                "seconds": round(ended.seconds, 3),
            },
        }


def _ending(record: Record, attempt: int) -> AttemptEnded | None:
    return next((f for f in record.told if isinstance(f, AttemptEnded) and f.attempt == attempt), None)


def _overdue(record: Record, attempt: int) -> Overdue | None:
    return next((f for f in record.told if isinstance(f, Overdue) and f.attempt == attempt), None)


def _about(launch: Launch) -> dict[str, str]:
    return {
        "provider": launch.provider,
        "spec": text(shown(launch.spec), _LONGEST_SPEC),
        "repo_key": text(shown(launch.repo_key), _LONGEST_SPEC),
    }


def _decision(decision: Decision, candidates: Figures) -> dict[str, Any]:
    return {
        "why": _said(decision.why),
        "last_resort": decision.last_resort,
        "candidates": [candidates(candidate) for candidate in decision.candidates],
        "exclusions": [{"name": one.name, "reason": _said(one.reason)} for one in decision.exclusions],
    }


def _brief(candidate: Candidate) -> dict[str, Any]:
    view = candidate.view
    return {
        "name": view.member.name,
        "score": candidate.score,
        "note": _said(candidate.note),
        "weight": view.member.weight,
        "state": view.state.value,
    }


def _said(reason: str) -> str:
    """Somebody's words, fit for a page and without credentials."""
    return text(shown(reason), _LONGEST).strip().rstrip(".")
