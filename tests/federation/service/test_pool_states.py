"""Members that are degraded, drained, or come back; the clock is moved by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pool_stage import HUB, REGISTRY, RULES, Stage, broken, member

from federation.core.model import Operation, State


def test_a_member_without_its_registry_is_degraded_until_it_has_it_again() -> None:
    stage = Stage(member("a"), member("b"))
    stage.look("a", checks=(REGISTRY,), lost=frozenset({Operation.BUILD}))
    assert stage.view("a").state is State.DEGRADED and stage.view("a").reason == "failing: Docker registry"
    assert stage.view("a").refusal is None and stage.chosen() == "b"
    stage.look("a", checks=(HUB,), lost=frozenset({Operation.LAUNCH}))
    assert stage.view("a").reason == "failing: JupyterHub API"
    assert stage.view("a").refusal == "starts no sessions now: failing: JupyterHub API"
    stage.look("a")
    assert stage.view("a").state is State.HEALTHY and stage.view("a").refusal is None
    stage.look("a", checks=(REGISTRY,), lost=frozenset({Operation.BUILD}))
    stage.silent("a", "a")
    assert stage.view("a").state is State.EJECTED


def test_other_versions_than_most_are_borne_for_a_while() -> None:
    stage = Stage(*map(member, "abc"), version_grace=100)

    def told(*versions: str) -> None:
        for name, version in zip("abc", versions, strict=True):
            stage.look(name, versions={"binderhub": version})

    told("1", "1", "2")
    stage.later(99)
    told("1", "1", "2")
    assert stage.states() == "healthy healthy healthy"
    stage.later(2)
    assert stage.states() == "healthy healthy degraded"
    assert (
        stage.view("c").reason == "runs binderhub 2, most members run 1" and stage.view("c").refusal is None
    )
    told("1", "2", "2")  # the rollout goes on: now another one is the last
    stage.later(2)
    assert stage.states() == "healthy healthy healthy"
    stage.later(100)
    assert stage.states() == "degraded healthy healthy"
    told("2", "2", "2")
    stage.later(1)
    assert stage.states() == "healthy healthy healthy"


def test_weight_zero_drains_whatever_the_state_and_weight_brings_back_by_a_look() -> None:
    stage = Stage(member("a"), member("b"), member("c"))
    broken(stage, "a", "b")
    stage.pool.configure(replace(stage.settings, members=(member("a", 0), member("b", 0), member("c"))))
    assert stage.states() == "drained drained healthy"
    stage.well_for(60)
    assert stage.states() == "drained drained healthy" and stage.view("b").weight == 0
    assert {stage.chosen(f"{number}") for number in range(50)} == {"c"}
    stage.pool.configure(stage.settings)
    assert stage.states() == "unknown unknown healthy"
    stage.looks()
    assert stage.states() == "healthy healthy healthy"


def test_a_slow_start_grows_and_begins_anew_after_another_fall() -> None:
    stage = Stage(member("a", 100), member("b", 100))
    stage.silent("a", "a")
    stage.well_for(10)
    assert stage.view("a").state is State.RECOVERING and stage.view("a").weight == pytest.approx(10, abs=5)
    stage.well_for(90)
    grown = stage.view("a").weight
    assert 50 < grown < 100
    stage.silent("a", "a")
    assert stage.view("a").state is State.EJECTED and stage.view("a").weight == 0
    stage.well_for(20)
    assert stage.view("a").state is State.RECOVERING and stage.view("a").weight < grown / 2
    stage.well_for(RULES.slow_start)
    assert stage.view("a").state is State.HEALTHY and stage.view("a").weight == 100
