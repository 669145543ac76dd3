from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation.core.facts import Fact, LookFailed, StateChanged
from federation.core.model import Check, Member, Seats, State
from federation.core.rules import HealthRules, Settings
from federation.service.pool import Pool
from federation.service.ports import ProbeResult

A, B = Member("a", "http://a", 1.0), Member("b", "http://b", 2.0, seats=5)
RULES = HealthRules(fall=2, rise=2, eject_base=10)


def rules(*members: Member) -> Settings:
    return Settings(members, health=RULES)


class Clock:
    time = 100.0

    def now(self) -> float:
        return self.time


def look(member: str, ok: bool = True, **more: Any) -> ProbeResult:
    return ProbeResult(
        member, more.pop("at", 101.0), ok, more.pop("answered", ok), "" if ok else "ill", **more
    )


def state(pool: Pool, name: str) -> State:
    view = pool.view(name)
    assert view is not None
    return view.state


def test_snapshots_are_replaced_and_never_change_in_place() -> None:
    pool = Pool(rules(A, B), Clock())
    before = pool.views()
    assert [view.member.name for view in before] == ["a", "b"]
    pool.observe(look("a", checks=(Check("Hub", True),), versions={"binderhub": "1"}))
    assert before[0].state is State.UNKNOWN
    now = pool.views()[0]
    assert (now.state, now.since, now.seen, now.reason) == (State.HEALTHY, 100.0, 101.0, "")
    assert pool.views()[1] is before[1]


def test_what_a_dead_member_said_is_not_kept_as_its_present_state() -> None:
    pool = Pool(rules(A), Clock())
    pool.observe(look("a", checks=(Check("Hub", True),), seats=Seats(1, 9), versions={"v": 1}, at=50.0))
    pool.observe(look("a", ok=False))
    assert pool.views()[0].seats == Seats(1, 9)  # it still takes launches, and has no more room than before
    pool.observe(look("a", ok=False))
    view = pool.views()[0]
    assert view.state is State.EJECTED
    assert view.checks == () and view.seats is None
    assert view.seen == 50.0 and view.versions == {"v": 1}


def test_the_reason_of_an_ejected_member_is_the_latest() -> None:
    pool = Pool(rules(A), Clock())
    pool.observe(look("a", ok=False))
    pool.refused("a", "refused the connection")
    assert pool.views()[0].reason == "refused the connection"


def test_seats_are_bounded_by_the_operators_number() -> None:
    pool = Pool(rules(B), Clock())
    for told, expected in (
        (Seats(3, 9), Seats(3, 5)),
        (Seats(3, None), Seats(3, 5)),
        (Seats(3, 2), Seats(3, 2)),
    ):
        pool.observe(look("b", seats=told))
        assert pool.views()[0].seats == expected


def test_a_lease_is_returned_however_the_launch_ends() -> None:
    pool = Pool(rules(A), Clock())
    with pool.lease("a"), pytest.raises(RuntimeError), pool.lease("a"):
        assert pool.views()[0].leases == 2
        raise RuntimeError
    assert pool.views()[0].leases == 0


def test_a_lease_outlives_a_reload_and_ends_on_its_own_member() -> None:
    pool = Pool(rules(A, B), Clock())
    with pool.lease("a"), pool.lease("b"):
        pool.configure(rules(replace(A, weight=7.0), replace(B, url="http://elsewhere")))
        assert [view.leases for view in pool.views()] == [1, 0]
    assert [view.leases for view in pool.views()] == [0, 0]
    with pool.lease("a"):
        pool.configure(rules())
        pool.configure(rules(A))
    assert pool.views()[0].leases == 0


def test_a_reload_keeps_the_state_of_members_that_stay_where_they_are() -> None:
    pool = Pool(rules(A, B), Clock())
    pool.observe(look("a"))
    pool.observe(look("b"))
    c = Member("c", "http://c", 1.0)
    told = pool.configure(rules(c, replace(A, weight=9.0), replace(B, url="http://new")))
    assert (told.added, told.removed, told.changed) == (("c",), (), ("a", "b"))
    assert [(view.member.name, view.state) for view in pool.views()] == [
        ("c", State.UNKNOWN),
        ("a", State.HEALTHY),
        ("b", State.UNKNOWN),
    ]
    assert pool.configure(rules(c)).removed == ("a", "b")


def test_weight_zero_drains_and_weight_brings_back_by_the_next_look() -> None:
    pool = Pool(rules(A, replace(B, weight=0.0)), Clock())
    assert state(pool, "b") is State.DRAINED and pool.views()[1].reason == "weight 0"
    pool.observe(look("b"))
    assert state(pool, "b") is State.DRAINED
    pool.observe(look("a"))
    pool.configure(rules(replace(A, weight=0.0), B))
    assert (state(pool, "a"), state(pool, "b")) == (State.DRAINED, State.UNKNOWN)
    pool.observe(look("b"))
    assert state(pool, "b") is State.HEALTHY


def test_listeners_hear_of_changes_and_of_first_doubts_only() -> None:
    facts: list[Fact] = []
    clock = Clock()
    pool = Pool(rules(A), clock)
    pool.subscribe(facts.append)
    for ok in (True, True, False, False, False, True, True):
        pool.observe(look("a", ok=ok))
    assert facts == [
        StateChanged("a", State.UNKNOWN, State.HEALTHY, "", 100.0),
        LookFailed("a", "ill"),
        StateChanged("a", State.HEALTHY, State.EJECTED, "ill", 100.0),
    ]
    clock.time += RULES.eject_base * 1.1
    pool.tick()
    assert facts[3:] == [StateChanged("a", State.EJECTED, State.RECOVERING, "", 111.0)]


def test_who_takes_no_launches_is_in_no_doubt() -> None:
    """A monitor looks again at once at who begins to look bad: that must come to an end."""
    facts: list[Fact] = []
    pool = Pool(rules(A, replace(B, weight=0.0)), Clock())
    pool.subscribe(facts.append)
    for _ in range(5):
        pool.observe(look("a", ok=False))
        pool.observe(look("b", ok=False))
    assert [fact for fact in facts if isinstance(fact, LookFailed)] == []


def test_a_look_at_a_member_that_is_gone_is_dropped() -> None:
    pool = Pool(rules(A), Clock())
    pool.observe(look("x"))
    pool.refused("x", "y")
    with pool.lease("x"):
        pass
    assert [view.member.name for view in pool.views()] == ["a"]
