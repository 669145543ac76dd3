"""Which members may take a launch and in which order, with the reasons. Knows no I/O.

Every member is either a candidate or excluded with a reason. When nobody is fit, the last resort is made of
those not known to be ill: the not yet probed, then the full, whose numbers may be a minute old.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from federation.core.model import Candidate, Decision, Exclusion, Launch, MemberView, State
from federation.core.policies import POLICIES, WHY, Dice
from federation.core.rules import PolicyRules
from federation.core.verdict import QUOTA_CHECK

NOBODY = "no member can take a launch"


def refusal(view: MemberView, headroom: int) -> str | None:
    """Why this member takes no launch now, or None if it does. Launches under way take seats already.

    For whoever makes views; all others read `MemberView.refusal`.
    """
    if view.state is State.DRAINED:
        return view.reason
    if not view.fit:
        return view.reason if view.state is State.UNKNOWN else f"ejected: {view.reason}"
    return _full(view, headroom)


def joinable(view: MemberView) -> bool:
    """Whether one more launch may wait for a build on this member: it is well, and its sessions leave room."""
    return view.fit and (view.seats is None or view.capacity is None or view.seats.used < view.capacity)


def health_label(view: MemberView) -> str:
    """The refusal in few words, for metrics: without numbers, and full under the name of upstream's check."""
    if view.fit:
        return "" if view.refusal is None else QUOTA_CHECK
    return view.reason


def decide(
    launch: Launch,
    views: Sequence[MemberView],
    *,
    rules: PolicyRules,
    dice: Dice,
    tried: Collection[str] = (),
    builders: Sequence[str] = (),
) -> Decision:
    """The order in which members are tried for this launch, without those `tried` already.

    `builders` may be building this version now. The first of them that can be joined comes first, even when
    launches under way have taken all its seats: one of two builds would be for nothing, and waiting for the build
    takes no seat. One that died in its build is still named by the launches that have not noticed yet.
    """
    builder = _joined(views, builders, tried)
    reasons = [(view, _excluded(view, tried, builder)) for view in views]
    fit = [view for view, reason in reasons if reason is None]
    exclusions = tuple(Exclusion(view.member.name, reason) for view, reason in reasons if reason is not None)
    order = POLICIES[rules.order]
    if fit:
        candidates, why = order(launch.repo_key, fit, dice), WHY[rules.order]
        candidates, why = _led(candidates, why, builder, "it may be building this version already")
    else:
        left = [view for view in views if view.member.name not in tried]
        unknown = [view for view in left if view.state is State.UNKNOWN]
        full = [view for view in left if view.fit]
        candidates = order(launch.repo_key, unknown, dice) + order(launch.repo_key, full, dice)
        why = "a last resort, as no member is known to be well and have room" if candidates else NOBODY
    asked = [c for c in candidates if c.view.member.name == launch.prefer]
    if asked or not launch.prefer:
        candidates, why = _led(candidates, why, launch.prefer, "asked for by ?member=")
    else:
        why = f"{why}, as the member asked for cannot take it"
    return Decision(launch, candidates, exclusions, why, last_resort=not fit and bool(candidates))


def _joined(views: Sequence[MemberView], builders: Sequence[str], tried: Collection[str]) -> str | None:
    """Whose build further launches wait for."""
    well = {view.member.name for view in views if joinable(view)}.difference(tried)
    return next((name for name in builders if name in well), None)


def _excluded(view: MemberView, tried: Collection[str], builder: str | None) -> str | None:
    if view.member.name in tried:
        return "already tried"
    if view.member.name == builder:
        return None
    return view.refusal


def _led(
    candidates: tuple[Candidate, ...], why: str, name: str | None, reason: str
) -> tuple[tuple[Candidate, ...], str]:
    """The candidates with this one first for this reason, if it is one of them."""
    chosen = [candidate for candidate in candidates if candidate.view.member.name == name]
    return (_first(chosen[0], candidates), reason) if chosen else (candidates, why)


def _first(chosen: Candidate, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    return (chosen, *(candidate for candidate in candidates if candidate is not chosen))


def _full(view: MemberView, headroom: int) -> str | None:
    if view.free is None or view.free > headroom:
        return None
    used = 0 if view.seats is None else view.seats.used
    return f"full: {used} of {view.capacity} seats, {view.leases} launches under way"
