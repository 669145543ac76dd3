from __future__ import annotations

import pytest

from federation.core import phases
from federation.core.blame import AGAINST_THE_MEMBER, BLAMES, SHARED, Blame, blame
from federation.core.errors import MemberFault
from federation.core.facts import Outcome
from federation.core.phases import Ending, judge

LOST, FAILED = Outcome.LOST, Outcome.FAILED


@pytest.mark.parametrize(
    ("outcome", "cause", "whose"),
    [
        (LOST, "refused", Blame.MEMBER),
        (FAILED, "refused", Blame.VISITOR),
        (LOST, "launch", Blame.MEMBER),
        (LOST, "member_error", Blame.MEMBER),
        (LOST, "too_slow", Blame.MEMBER),
        (LOST, "quota", Blame.CAPACITY),
        (LOST, "repo_quota", Blame.REPOSITORY),
        (LOST, "registry", Blame.REGISTRY),
        (LOST, "git_host", Blame.GIT_HOST),
        (LOST, "resolve", Blame.GIT_HOST),
        (LOST, "beyond_member", Blame.REPOSITORY),
        (FAILED, "repository", Blame.REPOSITORY),
        (FAILED, "rate_limit", Blame.VISITOR),
        (FAILED, "no_member", Blame.UNKNOWN),
        (FAILED, "room_full", Blame.CAPACITY),
        (LOST, "a word that nobody knows", Blame.UNKNOWN),
        (Outcome.ABANDONED, "abandoned", Blame.VISITOR),
        (Outcome.ABANDONED, "launch", Blame.VISITOR),
        (Outcome.READY, "ready", None),
        (Outcome.REDIRECTED, "redirected", None),
    ],
)
def test_whose_failure_an_end_is(outcome: Outcome, cause: str, whose: Blame | None) -> None:
    assert blame(outcome, cause) is whose


def test_every_fault_of_a_member_is_the_members() -> None:
    faults = [MemberFault, *MemberFault.__subclasses__()]
    assert len(faults) > 6
    assert {BLAMES[fault.cause] for fault in faults} == {Blame.MEMBER}


def test_every_cause_that_words_lead_to_has_its_blame() -> None:
    causes = {cause for _, cause in (*phases.MEMBERS_OWN, *phases.SHARED_SERVICES)}
    assert causes <= set(BLAMES)
    assert {BLAMES[cause] for _, cause in phases.SHARED_SERVICES} == SHARED


def test_visitors_and_repositories_never_count_against_a_member() -> None:
    assert AGAINST_THE_MEMBER.isdisjoint({Blame.VISITOR, Blame.REPOSITORY, Blame.CAPACITY, Blame.UNKNOWN})


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("The registry of this federation's images does not answer. Please try again soon.", "registry"),
        ("The registry of images took nothing for 120 seconds.", "registry"),
        ("The image was built, but the registry of images did not take it in time.", "registry"),
        ("The image to build on could not be fetched: its registry does not answer.", "registry"),
        ("Image r.example.org/a-b:1 could not be pulled: manifest unknown", "registry"),
        ("Image a:1 could not be pulled within 20 minutes.", "registry"),
        ("The pull of image a:1 broke off.", "registry"),
        ("The repository's server could not be reached.", "git_host"),
        ("The repository's server sent nothing for 120 seconds.", "git_host"),
        ("Image a:1 is not on this member's engine any more, and it has no registry.", "member_error"),
        (
            "The disk of this member is full. (The repository could not be fetched: git failed)",
            "member_error",
        ),
        ("Failed to launch image could not be pulled", "member_error"),
    ],
)
def test_words_that_tell_of_a_service_that_members_share(message: str, cause: str) -> None:
    verdict = judge({"phase": "failed", "status_code": 500, "message": message + "\n"}, built=False)
    assert verdict is not None and (verdict.ending, verdict.cause) == (Ending.RETRYABLE, cause)


def test_such_words_in_a_build_log_are_the_repositorys() -> None:
    said = {"phase": "failed", "message": "The repository's server could not be reached.\n"}
    verdict = judge(said, built=False)
    assert verdict is not None and (verdict.ending, verdict.cause) == (Ending.FINAL, "repository")
