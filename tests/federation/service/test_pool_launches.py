"""Members are judged by how launches end on them; the clock is moved by hand."""

from __future__ import annotations

import pytest
from pool_stage import HUB, RULES, Stage, broken, member

from federation.core.facts import (
    BlindnessChanged,
    Outcome,
)
from federation.core.model import Operation, Seats, State, Tally
from federation.service.leases import HANDED


@pytest.mark.parametrize("members", ["ab", "abc", "abcdef"])
@pytest.mark.parametrize("repos", [1, 3])
def test_a_member_whose_every_pull_fails_is_out_after_three_visitors_while_its_health_is_green(
    members: str, repos: int
) -> None:
    stage = Stage(*map(member, members))
    affected = 0
    while stage.view("a").state is not State.EJECTED:
        stage.well_for(60)
        stage.lost("a", "b", repo=f"gh/r/{affected % repos}")
        affected += 1
        assert affected <= 3
    assert affected > 1
    assert all(stage.view(name).state is State.HEALTHY for name in members[1:])
    assert "launches failed" in stage.view("a").reason
    assert stage.chosen() != "a"


@pytest.mark.parametrize(
    ("outcome", "cause"), [(Outcome.FAILED, "repository"), (Outcome.LOST, "launch"), (Outcome.LOST, "stuck")]
)
def test_a_repository_that_fails_twenty_times_on_one_member_ejects_nobody(
    outcome: Outcome, cause: str
) -> None:
    stage = Stage(member("a"), member("b"))
    for _ in range(20):
        stage.attempt("a", outcome, cause, next(stage.ids), repo="gh/bad/repo")
        stage.ready("b", repo="gh/good/repo")
        stage.well_for(20)
    assert stage.states() == "healthy healthy"


def test_a_launch_that_fails_wherever_it_is_tried_is_taken_back() -> None:
    stage = Stage(member("a"), member("b"), member("c"))
    for number in range(12):
        id = next(stage.ids)
        for name in "abc":
            stage.attempt(name, Outcome.LOST, "launch", id, repo=f"gh/r/{number}")
        stage.ended(id, 3)
    stage.later(1)
    assert stage.states() == "healthy healthy healthy"
    assert all(view.tally.bad == 0 for view in stage.pool.views())


def test_looks_never_bring_back_one_ejected_for_launches_and_a_trial_launch_does() -> None:
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    stage.well_for(RULES.eject_base - 1)
    assert stage.states() == "ejected healthy"
    stage.well_for(1)
    assert stage.states() == "trial healthy"
    stage.well_for(600)
    assert stage.states() == "trial healthy"
    stage.silent("a", "a")
    stage.well_for(600)
    assert stage.states() == "trial healthy"
    stage.ready("a")
    assert stage.states() == "recovering healthy"
    assert stage.view("a").tally == Tally()
    stage.well_for(RULES.slow_start)
    assert stage.states() == "healthy healthy"


def test_the_back_off_after_failed_trials_doubles_is_capped_and_begins_anew() -> None:
    stage = Stage(member("a"), member("b"))

    def seconds_out() -> float:
        begun = stage.time
        while stage.view("a").state is State.EJECTED:
            stage.looks()
            stage.later(1)
        return stage.time - begun

    broken(stage, "a", "b")
    lengths = [seconds_out()]
    for _ in range(4):
        stage.lost("a", "b")
        assert stage.view("a").state is State.EJECTED
        assert stage.view("a").reason == "on trial a launch failed: launch"
        lengths.append(seconds_out())
    assert lengths == [10, 20, 40, 60, 60]
    stage.ready("a")
    stage.well_for(RULES.slow_start + RULES.eject_max + 2)
    broken(stage, "a", "b")
    assert seconds_out() == 10


@pytest.mark.parametrize("cause", ["quota", "repository", "overtaken"])
def test_a_trial_is_not_failed_by_what_is_not_the_members(cause: str) -> None:
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    stage.well_for(10)
    stage.lost("a", "b", cause=cause)
    stage.attempt("a", Outcome.ABANDONED, "abandoned", next(stage.ids))
    assert stage.states() == "trial healthy"


def test_old_launches_that_fail_after_the_ejection_decide_no_trial() -> None:
    """They were hanging since before; the member may have been repaired."""
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    stage.well_for(20)
    assert stage.states() == "trial healthy"
    for number in range(5):
        stage.lost("a", "b", cause="too_slow", seconds=600.0, repo=f"gh/r/{number}")
    assert stage.states() == "trial healthy"
    stage.ready("a", seconds=5.0)
    for number in range(5):
        stage.lost("a", "b", cause="too_slow", seconds=600.0, repo=f"gh/r/{number}")
    assert stage.states() == "recovering healthy" and stage.view("a").tally.bad == 0
    stage.later(10)
    broken(stage, "a", "b")


def test_a_trial_takes_one_launch_at_a_time_even_when_the_members_numbers_show_it() -> None:
    stage = Stage(member("a"), member("b"))
    stage.looks({"a": Seats(5, 100), "b": Seats(5, 100)})
    broken(stage, "a", "b")
    stage.well_for(10)
    stage.looks({"a": Seats(5, 100)})
    assert stage.view("a").state is State.TRIAL and stage.view("a").refusal is None
    lease = stage.pool.lease("a")
    assert "on trial" in str(stage.view("a").refusal)
    stage.looks({"a": Seats(6, 100)})
    assert stage.view("a").leases == 0 and "on trial" in str(stage.view("a").refusal)
    lease.close()
    assert stage.view("a").refusal is None


def test_sessions_that_died_with_a_member_hold_up_no_trial() -> None:
    """They were never seen in its numbers, and will not be."""
    stage = Stage(member("a"), member("b"))
    stage.looks({"a": Seats(5, 100), "b": Seats(5, 100)})
    for _ in range(3):
        stage.pool.lease("a").close(ready=True)
    assert stage.view("a").leases == 3
    broken(stage, "a", "b")
    stage.well_for(10)
    stage.looks({"a": Seats(0, 100)})
    assert stage.view("a").state is State.TRIAL and stage.view("a").leases == 0
    assert stage.view("a").refusal is None


def test_a_trial_takes_one_redirected_launch_at_a_time() -> None:
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    stage.well_for(10)
    assert stage.view("a").refusal is None
    stage.pool.handed(0)
    assert "on trial" in str(stage.view("a").refusal)
    stage.well_for(HANDED + 1)
    assert stage.view("a").refusal is None


@pytest.mark.parametrize(
    ("good", "bad", "state"), [(4, 1, State.RECOVERING), (0, 2, State.EJECTED), (0, 0, State.TRIAL)]
)
def test_where_launches_are_redirected_counters_decide_the_trial(good: int, bad: int, state: State) -> None:
    stage = Stage(member("a"), member("b"))
    for _ in range(4):
        stage.pool.signalled("b", {}, 10, 0)
        stage.pool.signalled("a", {}, 0, 3)
    assert stage.view("a").state is State.EJECTED
    stage.well_for(10)
    assert stage.view("a").state is State.TRIAL
    stage.pool.signalled("a", {}, good, bad)
    assert stage.view("a").state is state


def test_launches_never_eject_so_many_that_too_few_seats_are_left() -> None:
    stage = Stage(member("big", 300), member("s1", 30), member("s2", 30))
    stage.looks({"big": Seats(10, 300), "s1": Seats(1, 30), "s2": Seats(1, 30)})
    for number in range(6):
        stage.lost("big", "s1", "s2", repo=f"gh/r/{number}")
    assert stage.states() == "healthy healthy healthy"
    assert stage.view("big").weight < 300 / 5  # it is only passed by
    for number in range(6):
        stage.lost("s1", "s2", repo=f"gh/s/{number}")
    assert stage.states() == "healthy ejected healthy"


def test_the_last_that_takes_launches_is_never_ejected_for_them_and_one_on_trial_is_no_other() -> None:
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    for number in range(9):
        stage.lost("b", repo=f"gh/r/{number}")
    assert stage.states() == "ejected healthy"
    stage.well_for(10)
    assert stage.states() == "trial healthy"
    for number in range(9):
        stage.lost("b", repo=f"gh/t/{number}")
    assert stage.states() == "trial healthy"


def test_one_that_starts_no_sessions_is_no_other_either() -> None:
    stage = Stage(member("a"), member("b"))
    stage.look("b", checks=(HUB,), lost=frozenset({Operation.LAUNCH}))
    for number in range(9):
        stage.lost("a", repo=f"gh/r/{number}")
    assert stage.states() == "healthy degraded"


def test_one_that_refuses_connections_while_its_probes_pass_is_out_after_three_visitors() -> None:
    stage = Stage(member("a"), member("b"))
    for _ in range(3):
        assert stage.view("a").state is State.HEALTHY
        stage.pool.refused("a", "refused the connection")
        stage.lost("a", "b", cause="refused")
        stage.well_for(30)
    assert stage.view("a").state is State.TRIAL
    stage.pool.refused("a", "refused the connection")
    stage.lost("a", "b", cause="refused")
    assert stage.view("a").state is State.EJECTED
    assert stage.told(BlindnessChanged) == []
