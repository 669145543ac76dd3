"""Which members may take a launch and in which order, with the reasons. Knows no I/O.

Every member is either a candidate or excluded with a reason. When nobody is fit, the last resort is made of
those not known to be ill: the not yet probed, then the full, whose numbers may be a minute old.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from federation.core.model import Candidate, Decision, Exclusion, Launch, MemberView, State
from federation.core.policies import POLICIES, WHY, Dice
from federation.core.verdict import QUOTA_CHECK

NOBODY = "no member can take a launch"


def unfit(view: MemberView, headroom: int) -> str | None:
    """Why this member takes no launch now, or None if it does. Launches under way take seats already."""
    if view.state is State.DRAINED:
        return view.reason
    if not view.fit:
        return view.reason if view.state is State.UNKNOWN else f"ejected: {view.reason}"
    return _full(view, headroom)


def health_label(view: MemberView, headroom: int) -> str:
    """`unfit` in few words, for metrics: without numbers, and full under the name of upstream's check."""
    if view.fit:
        return "" if _full(view, headroom) is None else QUOTA_CHECK
    return view.reason


def decide(
    launch: Launch,
    views: Sequence[MemberView],
    *,
    policy: str,
    headroom: int,
    dice: Dice,
    tried: Collection[str] = (),
) -> Decision:
    """The order in which members are tried for this launch, without those `tried` already."""
    fit: list[MemberView] = []
    unknown: list[MemberView] = []
    full: list[MemberView] = []
    exclusions: list[Exclusion] = []
    for view in views:
        reason = "already tried" if view.member.name in tried else unfit(view, headroom)
        if reason is None:
            fit.append(view)
            continue
        exclusions.append(Exclusion(view.member.name, reason))
        if view.member.name not in tried:
            if view.state is State.UNKNOWN:
                unknown.append(view)
            elif view.fit:
                full.append(view)
    order = POLICIES[policy]
    if fit:
        candidates, why = order(launch.repo_key, fit, dice), WHY[policy]
    else:
        candidates = order(launch.repo_key, unknown, dice) + order(launch.repo_key, full, dice)
        why = "a last resort, as no member is known to be well and have room" if candidates else NOBODY
    preferred = [c for c in candidates if c.view.member.name == launch.prefer]
    if preferred:
        candidates, why = _first(preferred[0], candidates), "asked for by ?member="
    elif launch.prefer:
        why = f"{why}, as the member asked for cannot take it"
    return Decision(launch, candidates, tuple(exclusions), why, last_resort=not fit and bool(candidates))


def _first(chosen: Candidate, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    return (chosen, *(candidate for candidate in candidates if candidate is not chosen))


def _full(view: MemberView, headroom: int) -> str | None:
    if view.seats is None or view.seats.quota is None:
        return None
    free = view.seats.quota - view.seats.used - view.leases
    if free > headroom:
        return None
    return f"full: {view.seats.used} of {view.seats.quota} seats, {view.leases} launches under way"
