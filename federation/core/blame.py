"""Whose failure a launch's end is, by the word that it ended with. Knows no member and no number.

Only what is the member's own counts against its health, and the two services that members share count as long
as other members reach them: `federation.core.evidence` says how.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from federation.core.facts import Outcome


class Blame(StrEnum):
    MEMBER = "member"
    CAPACITY = "capacity"  # no seat: about the number of seats, not about health
    REPOSITORY = "repository"
    REGISTRY = "registry"
    GIT_HOST = "git_host"
    VISITOR = "visitor"
    UNKNOWN = "unknown"


AGAINST_THE_MEMBER = frozenset({Blame.MEMBER, Blame.REGISTRY, Blame.GIT_HOST})
SHARED = frozenset({Blame.REGISTRY, Blame.GIT_HOST})  # may be down for all members alike

# Every word that `AttemptEnded.cause` or `LaunchEnded.cause` may be after a failure.
BLAMES: Mapping[str, Blame] = MappingProxyType(
    {
        # what a member's stream was like
        "refused": Blame.MEMBER,  # no connection; what a member refuses in words is below
        "bad_answer": Blame.MEMBER,
        "silent": Blame.MEMBER,
        "garbled": Blame.MEMBER,
        "broken_off": Blame.MEMBER,
        "too_slow": Blame.MEMBER,
        "stuck": Blame.MEMBER,  # stood still until another member, started beside it, was ready
        "fault": Blame.MEMBER,
        # what a member said
        "launch": Blame.MEMBER,
        "member_error": Blame.MEMBER,
        "build_watch": Blame.MEMBER,
        "shutting_down": Blame.MEMBER,  # nobody's fault, and yet it finishes no launch
        "registry": Blame.REGISTRY,
        "git_host": Blame.GIT_HOST,
        "resolve": Blame.GIT_HOST,
        "quota": Blame.CAPACITY,
        "repo_quota": Blame.REPOSITORY,  # of one repository alone: there may be seats for all others
        "repository": Blame.REPOSITORY,
        "beyond_member": Blame.REPOSITORY,  # of a kind that this member is not set up for
        "rate_limit": Blame.VISITOR,
        "abandoned": Blame.VISITOR,
        # what the front door found
        "overtaken": Blame.UNKNOWN,  # was well under way when another member was ready
        "room_full": Blame.CAPACITY,
        "waited_too_long": Blame.CAPACITY,
        "retry_budget": Blame.UNKNOWN,
        "no_member": Blame.UNKNOWN,
        "worker_lost": Blame.UNKNOWN,  # a process of our own died with it
    }
)
_REFUSED = "refused"  # one word for a connection that was refused (lost) and for a status 4xx (final)


def blame(outcome: Outcome, cause: str) -> Blame | None:
    """Whose failure this end is; None when it is no failure, or not seen. A word that is not known is nobody's."""
    if outcome in (Outcome.READY, Outcome.REDIRECTED):
        return None
    if outcome is Outcome.ABANDONED or (outcome is Outcome.FAILED and cause == _REFUSED):
        return Blame.VISITOR
    return BLAMES.get(cause, Blame.UNKNOWN)
