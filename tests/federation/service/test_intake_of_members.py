from __future__ import annotations

from federation.core.facts import AttemptEnded, Outcome
from federation.core.intake import FIRST
from federation.core.model import Launch, Member
from federation.core.routing import choose, decide
from federation.core.rules import HealthRules, PolicyRules, Settings
from federation.service.leases import Lease
from federation.service.pool import Pool
from federation.service.ports import ProbeResult

LAUNCH = Launch("gh", "a/b/HEAD", "gh/a/b")


class Clock:
    time = 1000.0

    def now(self) -> float:
        return self.time


def pool(*names: str) -> Pool:
    made = Pool(
        Settings(tuple(Member(name, f"http://{name}", 1.0) for name in names), health=HealthRules()), Clock()
    )
    for name in names:
        made.observe(ProbeResult(name, 1000.0, True, True))
    return made


def ended(member: str, id: int, outcome: Outcome, cause: str) -> AttemptEnded:
    return AttemptEnded(LAUNCH, id, member, 1, outcome, cause, cause, 1.0)


def filled(members: Pool, name: str) -> list[Lease]:
    leases = []
    while (view := members.view(name)) is not None and view.refusal is None:
        leases.append(members.lease(name))
    return leases


def test_a_member_starts_as_many_launches_as_it_has_shown_to_manage() -> None:
    members = pool("only")
    leases = filled(members, "only")
    assert len(leases) == FIRST
    refusal = members.views()[0].refusal
    assert refusal is not None and refusal.startswith(f"busy: {FIRST} launches")
    leases.pop().close(ready=True)
    members.listen(ended("only", 1, Outcome.READY, "ready"))
    assert len(filled(members, "only")) == 2  # the place of the one that ended, and one more that it proved


def test_a_failure_of_its_own_halves_that() -> None:
    members = pool("weak", "other")
    members.listen(ended("weak", 1, Outcome.LOST, "launch"))
    assert len(filled(members, "weak")) == FIRST // 2
    members.listen(ended("other", 2, Outcome.FAILED, "repository"))
    assert len(filled(members, "other")) == FIRST


def test_those_who_wait_for_a_build_start_nothing_and_may_be_joined() -> None:
    members = pool("builder")
    for lease in filled(members, "builder"):
        lease.builds(True)
    assert len(filled(members, "builder")) == FIRST
    assert (
        choose(LAUNCH, members.snapshot(), rules=PolicyRules(), dice=lambda: 0.5, builders=["builder"]) == 0
    )


def test_what_is_too_much_for_one_goes_to_the_next() -> None:
    members = pool("one", "two")
    first = decide(LAUNCH, members.snapshot(), rules=PolicyRules(), dice=lambda: 0.5)
    favourite = first.candidates[0].view.member.name
    filled(members, favourite)
    then = decide(LAUNCH, members.snapshot(), rules=PolicyRules(), dice=lambda: 0.5)
    assert [one.view.member.name for one in then.candidates] == [
        "two" if favourite == "one" else "one",
    ]
    assert [one.name for one in then.exclusions] == [favourite]


def test_a_lease_that_ends_in_its_build_leaves_no_trace() -> None:
    members = pool("only")
    lease = members.lease("only")
    lease.builds(True)
    lease.close()
    lease.builds(False)
    assert members.views()[0].starting == 0
    assert len(filled(members, "only")) == FIRST
