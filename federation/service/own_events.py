"""What the front door itself says in a launch's stream, in words for the visitor. Decides nothing.

Members' events are bytes that pass; these are the few in between. An event with `attempt` says that a member was
given the launch; one with `member` alone, that this member goes on with it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from federation.core.model import Decision, MemberView, State
from federation.core.progress import CONNECTING
from federation.core.waiting import Place
from federation.service.ports import Frame

_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def event(phase: str, message: str, **more: Any) -> Frame:
    """One event. Its message is a line."""
    fields = {"phase": phase, "message": message + "\n", **more}
    return Frame(json.dumps(fields).encode(), fields)


def in_line(why: str, place: Place) -> Frame:
    """The visitor's place in the waiting room, and why it is needed."""
    estimate = None if place.estimate is None else round(place.estimate)
    length = "" if estimate is None else f"; {_about(estimate)}"
    return event(
        "waiting",
        f"{why} You are {ordinal(place.position)} in line{length}.",
        position=place.position,
        of=place.of,
        estimate=estimate,
    )


def why_waiting(views: Sequence[MemberView], tried: Collection[str]) -> str:
    """Why no member takes a launch now that has tried these."""
    left = [view for view in views if view.member.name not in tried and view.state is not State.DRAINED]
    fit = [view for view in left if view.fit]
    every = "Every other member" if tried else "Every member"
    if any(view.refusal is None for view in fit):
        return "Others wait for a seat as well."
    if fit:
        return f"{every} is full." if len(fit) == len(left) else f"{every} in service is full."
    if left and all(view.state is State.UNKNOWN for view in left):
        return f"{every} has yet to be looked at."
    return "No other member is in service." if tried else "No member is in service."


def standstill(phase: str, seconds: float) -> str:
    """What a member that stands still does, for a sentence that begins with its name."""
    if phase == CONNECTING:
        return f"has not answered for {seconds:.0f} s"
    return f"has not moved for {seconds:.0f} s in {phase}"


def nobody(decision: Decision) -> str:
    """That no member can be given a launch, and why not."""
    return f"No member can take a launch now, please try again in a few minutes. {reasons(decision)}."


def reasons(decision: Decision) -> str:
    """Why no member takes this launch now, one by one; those that it only might have tried come first."""
    left = [(one.view.member.name, one.note) for one in decision.candidates]
    causes = [
        f"{name}: {note if decision.last_resort else 'others wait for its seats'}" for name, note in left
    ]
    causes += [f"{excluded.name}: {excluded.reason}" for excluded in decision.exclusions]
    return "; ".join(causes) or "There is none"


def nobody_left(lost: Mapping[str, str]) -> str:
    """That the launch failed on all members that it was tried on, and why."""
    causes = "; ".join(f"{name}: {why}" for name, why in lost.items())
    return f"No member could finish this launch. {causes}."


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, … 11th, … 21st."""
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return f"{number}{_ENDINGS.get(last, 'th')}"


def _about(seconds: int) -> str:
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    return f"about {minutes} minute{'s' if minutes > 1 else ''}"
