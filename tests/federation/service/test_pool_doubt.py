"""When all members fall silent; the clock is moved by hand."""

from __future__ import annotations

from dataclasses import replace

from pool_stage import RULES, Stage, broken, member

from federation.core.facts import (
    BlindnessChanged,
    LookFailed,
    StateChanged,
)
from federation.core.model import Seats, State


def test_when_all_fall_silent_at_once_states_are_frozen_told_and_let_go_at_the_first_answer() -> None:
    stage = Stage(member("a", 3), member("b", 2), member("c", 1))
    stage.looks({"a": Seats(10, 100), "b": Seats(5, 50), "c": Seats(1, 20)})
    before = stage.pool.views()
    keys = [f"key {number}" for number in range(60)]
    chosen = [stage.chosen(key) for key in keys]
    stage.facts.clear()
    stage.silent("a", "a")  # by chance it is looked at first, and ejected
    assert stage.states() == "ejected healthy healthy"
    stage.later(10)
    stage.silent("b", "b")
    stage.silent("c")
    assert stage.pool.blind_since is None
    stage.silent("c")
    assert stage.pool.blind_since == stage.time and stage.pool.snapshot().blind
    assert stage.states() == "healthy healthy healthy"
    blind_since = stage.time
    for _ in range(60):  # ten minutes
        stage.silent("a", "b", "c")
        stage.later(10)
        for view, old in zip(stage.pool.views(), before, strict=True):
            assert (view.state, view.capacity, view.weight) == (old.state, old.capacity, old.weight)
    assert [stage.chosen(key) for key in keys] == chosen
    assert [fact.since for fact in stage.told(BlindnessChanged)] == [blind_since]
    assert len(stage.told(LookFailed)) == 3  # nobody is hurried while all is frozen
    stage.look("b", seats=Seats(6, 50))
    assert stage.pool.blind_since is None and not stage.pool.snapshot().blind
    assert [fact.since for fact in stage.told(BlindnessChanged)] == [blind_since, None]
    assert stage.states() == "healthy healthy healthy"
    stage.silent("a", "c", "a", "c")
    assert stage.states() == "ejected healthy ejected"


def test_two_small_ones_of_three_die_and_the_big_one_takes_all() -> None:
    stage = Stage(member("big", 3), member("s1"), member("s2"))
    for number in range(10):
        stage.silent("s1", "s2")
        if number == 1:
            stage.silent("big")  # one answer of its own is lost
        else:
            stage.look("big")
        assert stage.pool.blind_since is None
        stage.later(5)
    assert stage.states() == "healthy ejected ejected"
    assert {stage.chosen(f"{number}") for number in range(50)} == {"big"}


def test_one_dead_for_long_stays_dead_when_the_others_go_at_once() -> None:
    stage = Stage(member("a"), member("b"), member("c"))
    stage.silent("a", "a")
    for _ in range(30):
        stage.silent("a")
        stage.well_for(10, "b", "c")
    stage.silent("b", "c", "b", "c")
    assert stage.pool.blind_since is not None and stage.states() == "ejected healthy healthy"
    assert "a" not in {stage.chosen(f"{number}") for number in range(50)}


def test_one_ejected_for_launches_before_stays_so_while_blind() -> None:
    stage = Stage(member("a"), member("b"), member("c"))
    stage.silent("a")
    broken(stage, "a", "b")
    stage.silent("a", "b", "c", "b", "c")
    assert stage.pool.blind_since is not None and stage.states() == "ejected healthy healthy"


def test_members_that_die_one_after_the_other_are_dead() -> None:
    stage = Stage(member("a"), member("b"))
    stage.silent("a", "a")
    stage.well_for(60, "b")
    stage.silent("b", "b")
    assert stage.states() == "ejected ejected" and stage.pool.blind_since is None


def test_a_new_configuration_while_blind_is_no_answer() -> None:
    stage = Stage(member("a"), member("b"))
    stage.silent("a", "b", "a", "b")
    assert stage.pool.blind_since is not None
    more = (*stage.settings.members, member("c"))
    stage.pool.configure(replace(stage.settings, members=more))
    stage.later(60)
    stage.silent("a", "b", "c", "a", "b", "c")
    assert stage.pool.blind_since is not None and stage.states() == "healthy healthy unknown"
    stage.look("c")
    assert stage.pool.blind_since is None and stage.view("c").state is State.HEALTHY


def test_a_drained_member_has_no_say_in_doubt() -> None:
    stage = Stage(member("a"), member("b"), member("off", 0))
    stage.silent("a", "b", "a", "b")
    assert stage.pool.blind_since is not None
    stage.look("off")
    assert stage.pool.blind_since is not None and stage.view("off").state is State.DRAINED
    stage.pool.configure(replace(stage.settings, members=(member("off", 0),)))
    stage.look("off")
    assert stage.pool.blind_since is None


def test_on_start_nobody_is_trusted_so_silence_is_no_doubt() -> None:
    stage = Stage(member("a"), member("b"), well=False)
    stage.silent("a", "b", "a", "b")
    assert stage.states() == "ejected ejected" and stage.pool.blind_since is None


def test_a_clock_that_is_set_back_an_hour_keeps_nobody_out_and_no_seat_taken() -> None:
    stage = Stage(member("a", 100), member("b", 100))
    stage.looks({"a": Seats(99, 100), "b": Seats(0, 100)})
    stage.pool.lease("a").close(ready=True)
    stage.silent("b", "b")
    stage.time -= 3600
    stage.looks({"a": Seats(99, 100)})
    stage.later(1)
    stage.well_for(10, "b")
    assert stage.view("a").refusal is None
    assert stage.view("b").state is State.RECOVERING
    stage.well_for(RULES.slow_start, "b")
    assert stage.view("b").state is State.HEALTHY and stage.view("b").weight == 100


def test_every_change_of_state_is_told_with_its_reason() -> None:
    stage = Stage(member("a"), member("b"))
    stage.facts.clear()
    broken(stage, "a", "b")
    stage.well_for(10)
    stage.ready("a")
    changes = [(fact.before, fact.after) for fact in stage.told(StateChanged)]
    assert changes == [
        (State.HEALTHY, State.EJECTED),
        (State.EJECTED, State.TRIAL),
        (State.TRIAL, State.RECOVERING),
    ]
    assert "launches failed" in stage.told(StateChanged)[0].reason
