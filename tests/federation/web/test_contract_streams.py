"""Every stream that a member is known to send, replayed through the front door: what passes, and who is blamed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from contract_files import OURS, STOCK, names, recorded
from door_stage import FAST, READY, SUCCESS, Door, StockMember, plays, until, without_ids

from federation.core.facts import AttemptEnded
from federation.core.model import State
from federation.core.phases import Ending

Pair = tuple[StockMember, StockMember]

# For each stream: how it ends on this member, and the cause that metrics and health are told.
READY_AT_LAST = (Ending.READY, "ready")
VERDICTS: dict[str, tuple[Ending, str]] = {
    "binderhub/bad-provider": (Ending.RETRYABLE, "beyond_member"),
    "binderhub/bad-ref": (Ending.FINAL, "repository"),
    "binderhub/build-failure": (Ending.FINAL, "repository"),
    "binderhub/build-only": (Ending.FINAL, "refused"),
    "binderhub/cached-launch": READY_AT_LAST,
    "binderhub/cold-dockerfile": READY_AT_LAST,
    "binderhub/cold-requirements": READY_AT_LAST,
    "binderhub/no-accept-header": (Ending.FINAL, "refused"),
    "binderhub/no-repository": (Ending.RETRYABLE, "resolve"),
    "binderhub/rate-limit": (Ending.FINAL, "rate_limit"),
    # What the visitor, the link or the operator's rules are the reason of: final.
    "member/bad-ref": (Ending.FINAL, "repository"),
    "member/bad-spec": (Ending.FINAL, "refused"),
    "member/banned-network": (Ending.FINAL, "refused"),
    "member/banned-spec": (Ending.FINAL, "repository"),
    "member/build-only-refused": (Ending.FINAL, "refused"),
    "member/forbidden": (Ending.FINAL, "refused"),
    "member/invalid-build-token": (Ending.FINAL, "refused"),
    "member/no-accept-header": (Ending.FINAL, "refused"),
    "member/rate-limit": (Ending.FINAL, "rate_limit"),
    # No fault of anybody's, and another member may do better.
    "member/bad-provider": (Ending.RETRYABLE, "beyond_member"),
    "member/cached-full": (Ending.RETRYABLE, "quota"),
    "member/quota-per-repository": (Ending.RETRYABLE, "repo_quota"),
    "member/quota-total": (Ending.RETRYABLE, "quota"),
    "member/shutting-down": (Ending.RETRYABLE, "shutting_down"),
    "member/shutting-down-at-launch": (Ending.RETRYABLE, "shutting_down"),
    # The member's.
    "member/disk-full": (Ending.RETRYABLE, "member_error"),
    "member/error-inside": (Ending.RETRYABLE, "member_error"),
    "member/hub-answers-500": (Ending.RETRYABLE, "launch"),
    "member/hub-silent": (Ending.RETRYABLE, "launch"),
    "member/login-down": (Ending.RETRYABLE, "member_error"),
    "member/never-ready": (Ending.RETRYABLE, "launch"),
    "member/no-answer": (Ending.RETRYABLE, "resolve"),
    "member/build-only": READY_AT_LAST,
    "member/cached-launch": READY_AT_LAST,
    "member/cold-launch": READY_AT_LAST,
    "member/joined-build": READY_AT_LAST,
    "member/queue-position": READY_AT_LAST,
    "member/resumed": READY_AT_LAST,
    "member/silence": READY_AT_LAST,
    "process/beyond-member": (Ending.RETRYABLE, "beyond_member"),
    "process/build-only": READY_AT_LAST,
    "process/build-failure": (Ending.FINAL, "repository"),
    "process/build-timeout": (Ending.FINAL, "repository"),
    "process/cold-launch": READY_AT_LAST,
    "process/disk-full": (Ending.RETRYABLE, "member_error"),
    "process/full-hub": (Ending.RETRYABLE, "quota"),
    "process/image-missing": (Ending.RETRYABLE, "launch"),
    "process/index-down": (Ending.RETRYABLE, "member_error"),
    "process/joined-build": READY_AT_LAST,
    "process/pull": READY_AT_LAST,
    "process/quota-total": (Ending.RETRYABLE, "quota"),
    "process/server-ends": (Ending.FINAL, "repository"),
    "docker/beyond-member": (Ending.RETRYABLE, "beyond_member"),
    "docker/build-failure": (Ending.FINAL, "repository"),
    "docker/build-timeout": (Ending.FINAL, "repository"),
    "docker/cached-launch": READY_AT_LAST,
    "docker/cold-dockerfile": READY_AT_LAST,
    "docker/cold-launch": READY_AT_LAST,
    "docker/cold-requirements": READY_AT_LAST,
    "docker/engine-down": (Ending.RETRYABLE, "launch"),
    "docker/engine-gone": (Ending.RETRYABLE, "member_error"),
    "docker/entrypoint-fails": (Ending.FINAL, "repository"),
    "docker/git-server-down": (Ending.RETRYABLE, "git_host"),
    "docker/image-gone": (Ending.RETRYABLE, "registry"),
    "docker/image-missing": (Ending.RETRYABLE, "launch"),
    "docker/image-without-jupyter": (Ending.FINAL, "repository"),
    "docker/never-ready": (Ending.RETRYABLE, "launch"),
    "docker/output-too-long": (Ending.FINAL, "repository"),
    "docker/pull": READY_AT_LAST,
    "docker/registry-down": (Ending.RETRYABLE, "registry"),
    "docker/registry-gone": (Ending.RETRYABLE, "registry"),
    "docker/repository-too-large": (Ending.FINAL, "repository"),
    "docker/step-killed": (Ending.FINAL, "repository"),
}


def test_every_stream_has_its_verdict() -> None:
    assert sorted(VERDICTS) == names(STOCK, *OURS)


@pytest.mark.parametrize("speaker", [STOCK, *OURS])
async def test_every_stream_passes_as_it_is_and_is_judged_as_the_table_says(
    speaker: str, members: Pair
) -> None:
    """One front door for all streams of a speaker. Each is a launch of a repository of its own, on members of which
    nothing is known from the streams before."""
    teller, other = members
    other.play = SUCCESS
    ended: list[AttemptEnded] = []
    both = [teller.configured(1e9), other.configured(1e-9)]
    async with Door(*both, launch=replace(FAST, retry_budget=1.0)) as door:
        door.door._listeners.append(
            lambda fact: ended.append(fact) if isinstance(fact, AttemptEnded) else None
        )
        for name in names(speaker):
            ended.clear()
            door.reconfigure([])
            door.reconfigure(both)
            await until(lambda: door.state("alpha") is door.state("beta") is State.HEALTHY)
            ending, cause = VERDICTS[name]
            teller.play = plays(recorded(name), hold=True)
            launched = await door.launch(f"/build/gh/contract/{name.replace('/', '-')}/HEAD")
            assert (ended[0].member, ended[0].cause) == ("alpha", cause), name
            sent = re.findall(rb"(?m)^data: .*$", recorded(name))
            got = re.findall(rb"(?m)^data: .*$", without_ids(launched.body))
            end = next(number for number, line in enumerate(sent) if _ends(line)) + 1
            assert b'"attempt": 1' in got[0], name
            if ending is Ending.RETRYABLE:
                assert got[1:end] == sent[: end - 1], (
                    name
                )  # all but the failure, which the other member mends
                assert launched.takers == ["alpha", "beta"] and launched.last == READY, name
            else:
                assert got[1:] == sent[:end], name
                assert launched.takers == ["alpha"], name


def _ends(line: bytes) -> bool:
    return re.search(rb'"phase": "(ready|failed|failure)"', line) is not None
