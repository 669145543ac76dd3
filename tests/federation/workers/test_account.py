"""What workers tell is in the captain's books once, and nothing of a worker that is gone stays there."""

from __future__ import annotations

from typing import Any

from fleet import Fleet, Remote

from federation.core.facts import AttemptEnded, Chosen, LaunchEnded, Outcome, Overdue
from federation.core.lately import counts_against_us
from federation.core.launchkey import parse_spec
from federation.core.model import Decision, Member
from federation.workers.channel import unpacked
from federation.workers.messages import Picture, Told

LAUNCH = parse_spec("gh/u/one/HEAD")
ALPHA, BETA = Member("alpha", "http://alpha", 1.0), Member("beta", "http://beta", 1.0)


def chosen(worker: Remote, id: int, attempt: int = 1, at: float = 90.0) -> None:
    worker.account.enter(Told(Chosen(Decision(LAUNCH, ()), id, "alpha", attempt, at)))


def ended(worker: Remote, id: int, outcome: Outcome = Outcome.READY) -> None:
    worker.account.enter(Told(AttemptEnded(LAUNCH, id, "alpha", 1, outcome, "ready", "", 1.0)))
    worker.account.enter(Told(LaunchEnded(LAUNCH, id, outcome, "alpha", 1, "ready", 1.0)))


def test_launches_of_all_workers_are_one_sequence() -> None:
    fleet = Fleet(ALPHA)
    one, two = fleet.workers
    chosen(one, 1)
    chosen(two, 1)
    one.account.enter(Told(Overdue(LAUNCH, 1, "alpha", 1, "building", 9.0)))
    chosen(one, 2)
    for worker, id in ((two, 1), (one, 2), (one, 1)):
        ended(worker, id)
    chosen(two, 2)
    told = [(type(fact).__name__, fact.id) for fact in fleet.facts if hasattr(fact, "id")]
    assert told == [
        ("Chosen", 1),
        ("Chosen", 2),
        ("Overdue", 1),
        ("Chosen", 3),
        *[(name, id) for id in (2, 3, 1) for name in ("AttemptEnded", "LaunchEnded")],
        ("Chosen", 4),
    ]
    assert not one.account._launches, "numbers of launches that are over are kept for ever"


def test_what_a_lost_worker_held_is_given_back_and_its_launches_are_over() -> None:
    fleet = Fleet(ALPHA, BETA)
    one, two = fleet.workers
    chosen(one, 1)
    ended(one, 1)
    chosen(one, 2)
    chosen(one, 2, attempt=2)
    one.follower.lease("alpha")
    with one.dispatcher.under_way(LAUNCH, "beta"):
        fleet.show()
        assert fleet.pool.views()[0].leases == 1
        assert [build.member for build in fleet.builds.known()] == ["beta"]
        before = len(fleet.facts)
        one.account.close()
    assert fleet.pool.views()[0].leases == 0
    assert fleet.builds.known() == ()
    attempt, launch = fleet.facts[before:]
    assert isinstance(attempt, AttemptEnded) and isinstance(launch, LaunchEnded)
    assert (attempt.id, attempt.attempt, attempt.outcome, attempt.cause) == (
        2,
        2,
        Outcome.ABANDONED,
        "worker_lost",
    )
    assert (launch.id, launch.attempts, launch.outcome, launch.seconds) == (2, 2, Outcome.FAILED, 10.0)
    assert counts_against_us(launch)
    two.hear()
    assert not two.dispatcher.elsewhere.known()


def test_a_worker_that_ended_in_order_leaves_nothing_to_tell() -> None:
    fleet = Fleet(ALPHA)
    worker = fleet.workers[0]
    chosen(worker, 1)
    ended(worker, 1)
    before = len(fleet.facts)
    worker.account.close()
    assert len(fleet.facts) == before


def test_builds_are_joined_across_workers() -> None:
    fleet = Fleet(ALPHA, BETA, order="random")
    one, two = fleet.workers
    with one.dispatcher.under_way(LAUNCH, "beta") as past_the_build:
        fleet.show()
        assert two.dispatcher.decide(LAUNCH).candidates[0].view.member.name == "beta"
        assert two.dispatcher.decide(LAUNCH).why == "it may be building this version already"
        past_the_build()
        fleet.show()
        assert two.dispatcher.decide(LAUNCH).why != "it may be building this version already"
    assert not one.outgoing, "told twice that it is past the build"


def test_what_a_launch_shows_of_images_is_known_to_all_and_to_those_who_come_later() -> None:
    fleet = Fleet(ALPHA, BETA, order="random")
    one, two = fleet.workers
    pinned = parse_spec("gh/u/one/" + "a" * 40)
    ready = {"phase": "ready", "message": "running", "url": "https://hub/user/x", "token": "secret"}
    one.dispatcher.heard(pinned, "beta", ready)
    one.dispatcher.heard(pinned, "beta", {"phase": "building", "message": "Step 1"})
    assert len(one.outgoing) == 1 and "secret" not in str(one.outgoing[0])
    fleet.show()
    late = Remote("late", fleet)
    for message in fleet.builds.known():
        late.dispatcher.elsewhere.take(message)
    late.follower.take_over(*_picture(fleet))
    for worker in (one, two, late):
        assert [worker.dispatcher.decide(pinned).candidates[0].view.member.name for _ in range(5)] == [
            "beta"
        ] * 5
    assert not two.outgoing and not late.outgoing


def _picture(fleet: Fleet) -> tuple[Picture, Any]:
    fleet.workers.append(reader := Remote("reader", fleet))
    fleet.feed.send()
    picture = reader.incoming.pop()
    return picture, unpacked(picture.shown)


def test_launches_that_wait_for_a_build_start_nothing() -> None:
    fleet = Fleet(ALPHA)
    one, _ = fleet.workers
    lease = one.follower.lease("alpha")
    fleet.show()
    assert [worker.follower.views()[0].starting for worker in fleet.workers] == [1, 1]
    lease.builds(True)
    assert one.follower.views()[0].starting == 0
    fleet.show()
    assert [worker.follower.views()[0].starting for worker in fleet.workers] == [0, 0]
    assert [worker.follower.views()[0].leases for worker in fleet.workers] == [1, 1]
    lease.close()
    fleet.show()
    assert [worker.follower.views()[0].starting for worker in fleet.workers] == [0, 0]
