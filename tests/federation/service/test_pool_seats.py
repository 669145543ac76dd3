"""Seats of members: told, learned and leased; the clock is moved by hand."""

from __future__ import annotations

from dataclasses import replace

from pool_stage import Stage, member

from federation.core.model import Pacing, Seats, Signal, State
from federation.service.leases import LINGER


def test_quota_300_and_the_node_takes_110_so_refusals_stop_after_three() -> None:
    stage = Stage(member("a"), member("b"))
    sessions, refusals = 105, 0
    stage.looks({"a": Seats(sessions, 300), "b": Seats(0, 300)})
    for second in range(300):
        if stage.view("a").refusal is None:
            lease = stage.pool.lease("a")
            full = sessions >= 110
            lease.close(ready=not full)
            if full:
                refusals += 1
                stage.lost("a", "b", cause="quota")
            else:
                sessions += 1
                stage.ready("a")
        if second % 10 == 0:
            stage.looks({"a": Seats(sessions, 300), "b": Seats(0, 300)})
        stage.later(1)
    assert sessions == 110 and 1 <= refusals <= 3
    assert stage.view("a").capacity in (110, 111) and stage.view("a").state is State.HEALTHY


def test_launches_sent_between_two_looks_are_never_more_than_there_are_seats() -> None:
    stage = Stage(member("a"))
    stage.looks({"a": Seats(90, 100)})
    leases = []
    while stage.view("a").refusal is None:
        leases.append(stage.pool.lease("a"))
    assert len(leases) == 10
    for lease in leases[:6]:
        lease.close(ready=True)
    assert stage.view("a").free == 0  # ready, and not in its numbers yet
    stage.looks({"a": Seats(96, 100)})
    assert (stage.view("a").leases, stage.view("a").free) == (4, 0)
    for lease in leases[6:]:
        lease.close()
    assert (stage.view("a").leases, stage.view("a").free) == (0, 4)


def test_a_ready_launch_that_its_numbers_never_show_gives_its_seat_back() -> None:
    stage = Stage(member("a"))
    stage.looks({"a": Seats(9, 10)})
    stage.pool.lease("a").close(ready=True)
    assert stage.view("a").free == 0
    stage.later(LINGER + 1)
    assert stage.view("a").free == 1


def test_a_redirected_launch_takes_a_seat_at_once_and_after_the_next_snapshot() -> None:
    stage = Stage(member("a"), member("b"))
    stage.looks({"a": Seats(90, 100), "b": Seats(90, 100)})
    for _ in range(10):
        stage.pool.handed(0)
    assert stage.pool.taken == [10, 0] and stage.chosen() == "b"
    stage.look("b", seats=Seats(90, 100))  # another member's news makes a new snapshot
    assert stage.pool.taken == [0, 0] and stage.view("a").leases == 10
    assert {stage.chosen(f"{number}") for number in range(30)} == {"b"}


def test_one_that_tells_no_numbers_counts_as_full_for_a_while_after_a_refusal() -> None:
    stage = Stage(member("a"), member("b"))
    stage.lost("a", "b", cause="quota")
    assert str(stage.view("a").refusal).startswith("full") and stage.chosen() == "b"
    stage.later(16)
    assert stage.view("a").refusal is None


def test_a_repositorys_own_quota_takes_nobody_elses_seats() -> None:
    stage = Stage(member("a"), member("b"))
    stage.looks({"a": Seats(20, 300), "b": Seats(0, 300)})
    stage.lost("a", "b", cause="repo_quota")
    assert stage.view("a").capacity == 300 and stage.states() == "healthy healthy"


def sessions(used: float, quota: float, at: float) -> dict[str, Signal]:
    return {"sessions": Signal(used, at), "quota": Signal(quota, at)}


def test_the_seats_that_signals_tell_count_when_health_tells_none() -> None:
    stage = Stage(member("a"), member("b"))
    stage.pool.signalled("a", sessions(58, 60, stage.time), 0, 0)
    assert stage.view("a").seats == Seats(58, 60) and stage.view("a").free == 2
    stage.pool.lease("a").close(ready=True)
    assert stage.view("a").free == 1  # held until signals show it
    stage.later(15)
    stage.pool.signalled("a", sessions(59, 60, stage.time), 0, 0)
    assert (stage.view("a").leases, stage.view("a").free) == (0, 1)
    stage.lost("a", "b", cause="quota")
    assert stage.view("a").capacity == 59
    stage.look("a", seats=Seats(10, 40))
    assert stage.view("a").seats == Seats(10, 40)
    stage.looks()
    stage.later(stage.settings.prometheus.max_age + 1)
    assert stage.view("a").seats is None


def test_a_paced_member_is_relieved_even_when_the_others_are_busy() -> None:
    stage = Stage(member("alpha", seats=100), member("beta", seats=100))
    stage.pool.pace("alpha", Pacing(0.1, "paced to its budget: 10 %"))
    stage.looks({"alpha": Seats(5, 100), "beta": Seats(60, 100)})
    keys = [f"gh/r/{number}" for number in range(50)]
    assert [stage.chosen(key) for key in keys].count("beta") > 35
    stage.looks({"alpha": Seats(5, 100), "beta": Seats(100, 100)})  # capacity comes first
    assert {stage.chosen(key) for key in keys} == {"alpha"}


def test_a_pace_is_part_of_the_weight_and_stays_over_a_new_configuration() -> None:
    stage = Stage(member("alpha", 4.0), member("beta"))
    stage.pool.pace("alpha", Pacing(0.5, "paced"))
    stage.pool.pace("nobody", Pacing(0.5, "paced"))
    assert stage.view("alpha").weight == 2.0
    stage.pool.configure(replace(stage.settings, members=(member("alpha", 6.0), member("beta"))))
    assert (stage.view("alpha").weight, stage.view("alpha").pacing.reason) == (3.0, "paced")
    stage.pool.pace("alpha", Pacing())
    assert stage.view("alpha").weight == 6.0
