"""Several workers decide at the same time by pictures of one pool, and forget and double nothing."""

from __future__ import annotations

from fleet import Fleet, Remote
from hypothesis import given
from hypothesis import strategies as st

from federation.core.facts import AttemptEnded, Outcome
from federation.core.launchkey import parse_spec
from federation.core.model import Member, Seats, State
from federation.service.leases import Lease

LAUNCH = parse_spec("gh/u/one/HEAD")
ALPHA, BETA = Member("alpha", "http://alpha", 1.0, seats=4), Member("beta", "http://beta", 1.0)


def take(worker: Remote, member: str = "alpha") -> Lease | None:
    """A seat on this member, if the worker finds one there."""
    decision = worker.dispatcher.decide(LAUNCH)
    fit = [] if decision.last_resort else [one.view.member.name for one in decision.candidates]
    return worker.follower.lease(member) if member in fit else None


def leases(worker: Remote, name: str = "alpha") -> int:
    view = worker.follower.view(name)
    assert view is not None
    return view.leases


def test_before_the_first_picture_members_are_unknown() -> None:
    fleet = Fleet(ALPHA)
    fresh = Remote("fresh", fleet)
    assert [view.state for view in fresh.follower.views()] == [State.UNKNOWN]
    assert [view.state for view in fleet.workers[0].follower.views()] == [State.HEALTHY]


def test_a_launch_is_never_forgotten_between_two_pictures() -> None:
    fleet = Fleet(ALPHA, headroom=0)
    one, two = fleet.workers
    lease = take(one)
    assert lease is not None
    assert leases(one) == 1
    fleet.look("alpha", Seats(1, 4))  # a picture that was made before the launch is known of
    fleet.feed.send()
    one.hear()
    assert leases(one) == 1
    fleet.show()
    assert leases(one) == leases(two) == 1  # and once only
    lease.close()
    assert leases(one) == 0
    fleet.show()
    assert leases(one) == leases(two) == 0


def test_a_ready_launch_keeps_its_seat_until_the_member_shows_it() -> None:
    fleet = Fleet(ALPHA, headroom=0)
    one, _ = fleet.workers
    lease = take(one)
    assert lease is not None
    lease.close(ready=True)
    assert leases(one) == 1
    fleet.show()
    assert leases(one) == 1
    fleet.look("alpha", Seats(1, 4))
    fleet.show()
    assert leases(one) == 0


def test_redirected_launches_count_at_once_and_everywhere() -> None:
    fleet = Fleet(ALPHA, headroom=0)
    one, two = fleet.workers
    before = one.follower.snapshot()
    one.follower.handed(0)
    assert one.follower.snapshot() is before and one.follower.taken == [1]  # which costs next to nothing
    fleet.show()
    assert two.follower.taken == one.follower.taken == [1]
    fleet.pool.tick()
    fleet.show()
    assert two.follower.taken == one.follower.taken == [0]
    assert leases(one) == leases(two) == 1


def test_one_launch_on_trial_is_one_over_all_workers() -> None:
    fleet = Fleet(ALPHA, BETA)
    for id in range(20):
        for member, outcome in (("beta", Outcome.LOST), ("alpha", Outcome.READY)):
            fleet.tell(AttemptEnded(LAUNCH, id, member, 1, outcome, "broken_off", "", 1.0))
    fleet.clock.time += 100
    for _ in range(2):
        fleet.look("beta")
    assert fleet.pool.views()[1].state is State.TRIAL
    fleet.show()
    assert [take(worker, "beta") is None for worker in fleet.workers].count(False) == 1


def test_a_refusal_reaches_the_pool() -> None:
    fleet = Fleet(ALPHA, BETA)
    for _ in range(2):
        fleet.workers[0].follower.refused("alpha", "connection refused")
    fleet.show()
    assert fleet.workers[1].follower.views()[0].state is State.EJECTED


def test_who_waits_is_woken_by_pictures_and_by_seats_of_its_own() -> None:
    fleet = Fleet(ALPHA)
    one, two = fleet.workers
    woken: list[int] = []
    one.follower.when_stirred(lambda: woken.append(1))
    lease = two.follower.lease("alpha")
    fleet.show()
    assert woken
    woken.clear()
    lease.close()
    fleet.show()
    assert woken
    woken.clear()
    one.follower.lease("alpha").close()
    assert woken


steps = st.lists(
    st.tuples(st.sampled_from(["take", "told", "send", "hear", "close", "hungry"]), st.integers(0, 2)),
    max_size=80,
)


@given(st.integers(0, 9), steps)
def test_seats_are_given_away_once_however_late_messages_are(
    seats: int, moves: list[tuple[str, int]]
) -> None:
    """At most one seat too many for each other worker: a turn may change while a launch is on its way."""
    member = Member("alpha", "http://alpha", 1.0, seats=seats)
    fleet = Fleet(member, workers=3, headroom=0)
    held: list[Lease] = []
    for move, which in moves:
        worker = fleet.workers[which]
        match move:
            case "take" if (lease := take(worker)) is not None:
                held.append(lease)
            case "told":
                worker.told()
            case "send":
                fleet.feed.send()
            case "hear" if worker.incoming:
                worker.hear_one()
            case "close" if held:
                held.pop(0).close()
            case "hungry":
                worker.hungry = not worker.hungry
        assert len(held) <= (seats + 2 if seats else 0)
    for worker in fleet.workers:
        worker.hungry = True
    fleet.show()
    assert fleet.pool.views()[0].leases == len(held)
    assert [leases(worker) for worker in fleet.workers] == [len(held)] * 3


@given(st.integers(0, 20), st.lists(st.integers(0, 2), max_size=60))
def test_all_seats_are_given_away_and_no_more_when_messages_are_quick(seats: int, order: list[int]) -> None:
    fleet = Fleet(Member("alpha", "http://alpha", 1.0, seats=seats), workers=3, headroom=0)
    held = 0
    for which in [*order, *[2] * (3 * seats + 3)]:  # in the end one worker has to find what is left
        held += take(fleet.workers[which]) is not None
        fleet.show()
    assert held == seats
