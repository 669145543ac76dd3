from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.model import Decision, Launch, Member, MemberView, Operation, Seats, State
from federation.core.ordertable import SlotTable
from federation.core.policies import POLICIES
from federation.core.routing import choose, decide, health_label, joinable, refusal
from federation.core.rules import PolicyRules
from federation.core.snapshot import HANDFUL, Snapshot, snapshot

LAUNCH = Launch("gh", "a/b/HEAD", "/build/gh/a/b")
BUILD_ONLY = replace(LAUNCH, query="build_only=true")
RULES = PolicyRules()
BUILD, START = Operation.BUILD, Operation.LAUNCH
NO_BUILDS, NO_STARTS = frozenset({BUILD}), frozenset({START})


def view(name: str, state: State = State.HEALTHY, weight: float = 1.0, **more: Any) -> MemberView:
    """As the pool makes one: what is not given follows from the rest."""
    seats = more.get("seats")
    more.setdefault("reason", "")
    more.setdefault("capacity", None if seats is None else seats.quota)
    made = MemberView(Member(name, "http://m", weight), state, weight=more.pop("effective", weight), **more)
    return replace(made, refusal=refusal(made, 0))


def again(one: MemberView, **changes: Any) -> MemberView:
    changed = replace(one, **changes)
    return replace(changed, refusal=refusal(changed, 0))


def changed(views: Sequence[MemberView], name: str, **changes: Any) -> list[MemberView]:
    return [again(one, **changes) if one.member.name == name else one for one in views]


def order(*views: MemberView, launch: Launch = LAUNCH, **more: Any) -> tuple[Decision, list[str]]:
    decision = decide(launch, snapshot(views, RULES), rules=RULES, dice=lambda: 0.5, **more)
    return decision, [candidate.view.member.name for candidate in decision.candidates]


def notes(decision: Decision) -> dict[str, str]:
    return {candidate.view.member.name: candidate.note for candidate in decision.candidates}


def test_every_member_is_a_candidate_or_excluded_with_a_reason() -> None:
    decision, names = order(
        view("well"),
        view("dead", State.EJECTED, reason="refused the connection"),
        view("new", State.UNKNOWN, reason="not probed yet"),
        view("off", State.DRAINED, weight=0, reason="weight 0"),
        view("full", seats=Seats(10, 10)),
        view("gone"),
        tried=("gone",),
    )
    assert names == ["well"] and not decision.last_resort
    assert {one.name: one.reason for one in decision.exclusions} == {
        "dead": "ejected: refused the connection",
        "new": "not probed yet",
        "off": "weight 0",
        "full": "full: 10 of 10 seats, 0 launches under way",
        "gone": "already tried",
    }


def test_a_free_seat_counts_less_launches_under_way_and_headroom() -> None:
    roomy = view("m", seats=Seats(7, 10))
    assert refusal(roomy, 2) is None and refusal(roomy, 3) is not None
    assert refusal(replace(roomy, leases=2), 0) is None and refusal(replace(roomy, leases=3), 0) is not None
    assert refusal(view("m", seats=Seats(10**6, None)), 10) is None


def test_a_member_on_trial_takes_one_launch_at_a_time() -> None:
    trial = view("m", State.TRIAL)
    assert refusal(trial, 0) is None
    assert "on trial" in str(refusal(replace(trial, leases=1), 0))


def test_a_degraded_member_refuses_as_a_whole_when_it_starts_no_sessions() -> None:
    for lost in (NO_BUILDS, frozenset[Operation]()):
        assert view("m", State.DEGRADED, lost=lost, reason="ill").refusal is None
    for lost in (NO_STARTS, NO_BUILDS | NO_STARTS):
        idle = view("m", State.DEGRADED, lost=lost, reason="failing: JupyterHub API")
        assert idle.refusal == "starts no sessions now: failing: JupyterHub API"
        assert health_label(idle) == "failing: JupyterHub API"
    useless = view("m", State.DEGRADED, lost=NO_BUILDS | NO_STARTS)
    builder = view("m", State.DEGRADED, lost=NO_STARTS)
    assert order(useless, launch=BUILD_ONLY)[1] == [] and order(builder, launch=BUILD_ONLY)[1] == ["m"]
    assert order(builder)[1] == []


def test_the_last_resort_is_the_unknown_then_the_full_then_those_on_trial_and_never_the_dead() -> None:
    decision, names = order(
        view("trial", State.TRIAL, leases=1),
        view("full", seats=Seats(1, 1)),
        view("dead", State.EJECTED),
        view("off", State.DRAINED, weight=0),
        view("new", State.UNKNOWN, reason="not probed yet"),
        view("sick", State.DEGRADED, lost=NO_BUILDS | NO_STARTS),
    )
    assert names == ["new", "full", "trial"] and decision.last_resort
    assert notes(decision)["full"].startswith("full: 1 of 1") and notes(decision)["new"] == "not probed yet"
    assert {one.name for one in decision.exclusions} == {"dead", "off", "sick"}
    nobody, names = order(view("dead", State.EJECTED))
    assert names == [] and not nobody.last_resort and nobody.why == "no member can take a launch"


def test_a_preference_is_honoured_only_for_a_member_that_is_fit() -> None:
    members = [view(name) for name in "abcdef"]
    _, plain = order(*members)
    wish = replace(LAUNCH, prefer=plain[3])
    decision, names = order(*members, launch=wish)
    assert names == [plain[3], *plain[:3], *plain[4:]] and "?member=" in decision.why
    decision, names = order(*changed(members, plain[3], state=State.EJECTED), launch=wish)
    assert names == [name for name in plain if name != plain[3]] and "cannot take it" in decision.why
    assert order(*members, launch=replace(LAUNCH, prefer="no such"))[1] == plain


def test_a_member_over_its_share_is_passed_over_and_stays_a_candidate_with_a_note() -> None:
    members = [view(name, seats=Seats(20, 100)) for name in "abc"]
    decision, plain = order(*members)
    assert decision.why == "this repository's own member" and not any(notes(decision).values())
    hot = changed(members, plain[0], leases=60)
    decision, names = order(*hot)
    assert names == [*plain[1:], plain[0]]
    assert notes(decision)[plain[0]] == "passed over: load 80, and affinity may give it 51"
    assert decision.why == "the next in this repository's order"


def test_when_all_with_a_seat_are_over_their_share_the_order_stands() -> None:
    """As between two snapshots, or when the only one below its share is full."""
    members = [view(name, seats=Seats(50, 100)) for name in "abc"]
    _, plain = order(*members)
    assert order(*members, taken=(40, 40, 40))[1] == plain
    full = changed(members, plain[0], capacity=50, seats=Seats(50, 50))
    assert order(*full, taken=(40, 40, 40))[1] == plain[1:]


def test_launches_sent_since_the_snapshot_take_seats_and_share() -> None:
    members = [view(name, seats=Seats(20, 100)) for name in "abc"]
    _, plain = order(*members)
    index = "abc".index(plain[0])

    def sent(count: int) -> tuple[Decision, list[str]]:
        return order(*members, taken=[count if i == index else 0 for i in range(3)])

    assert sent(5)[1] == plain
    assert sent(10)[1] == [*plain[1:], plain[0]]
    decision, names = sent(80)
    assert names == plain[1:] and decision.exclusions[0].reason.startswith("full: 100 of 100 seats")


def test_the_first_handful_of_an_idle_federation_stays_together() -> None:
    members = [view(name) for name in "abc"]
    _, plain = order(*members)
    first = plain[0]
    assert all(order(*changed(members, first, leases=n))[1][0] == first for n in range(HANDFUL))
    assert order(*changed(members, first, leases=HANDFUL))[1][0] == plain[1]


def test_a_holder_of_the_image_comes_first_unless_it_is_over_its_share_or_not_fit() -> None:
    members = [view(name, seats=Seats(20, 100)) for name in "abc"]
    _, plain = order(*members)
    holder = plain[2]
    decision, names = order(*members, holders=frozenset({holder}))
    assert names == [holder, *plain[:2]] and decision.why == "it holds the image"
    assert notes(decision)[holder] == "it holds the image"
    assert order(*changed(members, holder, leases=60), holders=frozenset({holder}))[1] == plain
    for worse in ({"state": State.EJECTED}, {"seats": Seats(100, 100)}):
        assert order(*changed(members, holder, **worse), holders=frozenset({holder}))[1] == plain[:2]
    assert order(*members, holders=frozenset("abc"))[1] == plain


def test_degraded_members_come_after_all_others_whatever_they_hold() -> None:
    members = [view(name, seats=Seats(20, 100)) for name in "abc"]
    _, plain = order(*members)
    ill = changed(members, plain[0], state=State.DEGRADED, reason="pressure on 2 of 3 nodes")
    ill = changed(ill, plain[1], leases=70)
    decision, names = order(*ill, holders=frozenset({plain[0]}))
    assert names == [plain[2], plain[1], plain[0]]
    assert notes(decision)[plain[0]] == "degraded: pressure on 2 of 3 nodes; it holds the image"


def test_a_member_that_cannot_build_takes_launches_of_images_that_it_holds() -> None:
    sick = view("sick", State.DEGRADED, lost=NO_BUILDS, reason="failing: Docker registry")
    decision, names = order(sick, view("well"))
    assert names == ["well"]
    assert decision.exclusions[0].reason == "takes only images that it holds: failing: Docker registry"
    assert order(sick, view("well"), holders=frozenset({"sick"}))[1] == ["well", "sick"]
    decision, names = order(sick)
    assert names == [] and not decision.last_resort


def test_a_member_that_starts_no_sessions_takes_builds_alone() -> None:
    sick = view("sick", State.DEGRADED, lost=NO_STARTS, reason="the hub is down")
    decision, names = order(sick, view("well"), holders=frozenset({"sick"}))
    assert names == ["well"] and decision.exclusions[0].reason == "starts no sessions now: the hub is down"
    assert order(sick, view("well"), launch=BUILD_ONLY)[1] == ["well", "sick"]


def test_whoever_may_be_building_the_version_comes_first_though_launches_have_taken_its_seats() -> None:
    members = [view(name, seats=Seats(0, 4)) for name in "abc"]
    _, plain = order(*members)
    crowded = changed(members, plain[2], leases=50)
    decision, names = order(*crowded, builders=(plain[2],))
    assert names == [plain[2], *plain[:2]] and "building" in decision.why
    assert decision.exclusions == ()
    assert order(*crowded, builders=(plain[2],), tried=(plain[2],))[1] == plain[:2]
    assert order(*crowded, builders=(plain[2],), holders=frozenset({plain[1]}))[1][0] == plain[2]
    wish = replace(LAUNCH, prefer=plain[1])
    assert order(*crowded, launch=wish, builders=(plain[2],))[1][0] == plain[1]


def test_nobody_joins_a_build_on_a_member_that_is_ill_or_full_of_sessions() -> None:
    members = [view(name, seats=Seats(0, 4)) for name in "abc"]
    _, plain = order(*members)
    for ill in ({"state": State.EJECTED}, {"state": State.DRAINED}, {"seats": Seats(4, 4)}):
        decision, names = order(*changed(members, plain[2], **ill), builders=(plain[2],))
        assert names == plain[:2] and "building" not in decision.why
    degraded = changed(members, plain[2], state=State.DEGRADED, lost=NO_BUILDS)
    assert order(*degraded, builders=(plain[2],))[1] == plain[:2]
    assert not joinable(view("m", State.TRIAL, leases=1))


def test_launches_that_lost_their_builder_wait_for_the_next_one_together() -> None:
    """Most of them still count for the one that died; its successor is soon full of launches under way."""
    members = [view(name, seats=Seats(0, 4)) for name in "abc"]
    _, plain = order(*members)
    died, heir, other = plain
    crowded = changed(members, heir, leases=4)
    assert order(*crowded, builders=(died, heir), tried=(died,))[1] == [heir, other]
    for gone in (State.EJECTED, State.DRAINED):
        assert order(*changed(crowded, died, state=gone), builders=(died, heir))[1] == [heir, other]


def test_the_label_for_metrics_holds_no_numbers() -> None:
    assert health_label(view("m")) == ""
    assert health_label(view("m", seats=Seats(9, 9))) == "Pod quota"
    assert (
        health_label(view("m", State.EJECTED, reason="failing: Docker registry"))
        == "failing: Docker registry"
    )


def test_a_blind_router_says_so() -> None:
    frozen = snapshot([view("a")], RULES, blind=True)
    assert "last good view" in decide(LAUNCH, frozen, rules=RULES, dice=lambda: 0.5).why


MANY = [f"m{number}" for number in range(12)]
LOST = [frozenset[Operation]()] * 3 + [NO_BUILDS, NO_STARTS, NO_BUILDS | NO_STARTS]
Case = tuple[Launch, Snapshot, dict[str, Any]]


def some_view(dice: Random, name: str) -> MemberView:
    quota = dice.choice([None, dice.randint(0, 30)])
    return view(
        name,
        dice.choice([*State, State.HEALTHY, State.HEALTHY, State.HEALTHY]),
        dice.choice([0.0, 1.0, 2.5, 300.0]),
        effective=dice.choice([0.0, 0.5, 1.0]),
        seats=dice.choice([None, Seats(dice.randint(0, 30), quota)]),
        leases=dice.choice([0, dice.randint(0, 12)]),
        lost=dice.choice(LOST),
        reason="for some reason",
    )


def some_case(dice: Random) -> Case:
    """Federations on both sides of the number that chooses the kind of table."""
    views = [some_view(dice, name) for name in MANY[: dice.randint(0, len(MANY))]]
    rules = PolicyRules(dice.choice(sorted(POLICIES)), dice.choice([1.0, 1.25, 10.0]))
    launch = replace(
        dice.choice([LAUNCH, BUILD_ONLY]),
        repo_key=f"key-{dice.randint(0, 50)}",
        prefer=dice.choice([None, None, dice.choice(MANY)]),
    )

    def some() -> list[str]:
        return dice.sample(MANY, dice.choice([0, 0, 1, 3, 8]))

    taken = dice.choice([None, [dice.randint(0, 20) for _ in views]])
    more = {"rules": rules, "tried": some(), "builders": some(), "holders": frozenset(some()), "taken": taken}
    return launch, snapshot(views, rules), more


SEEDS = st.integers(0, 10**9)  # a federation has too many parts to draw them one by one quickly


@given(SEEDS)
@settings(max_examples=600, deadline=None)
def test_choosing_takes_the_member_that_deciding_puts_first(seed: int) -> None:
    launch, taken, more = some_case(Random(seed))
    decision = decide(launch, taken, dice=Random(seed).random, **more)
    chosen = choose(launch, taken, dice=Random(seed).random, **more)
    first = decision.candidates[0].view if decision.candidates else None
    assert (None if chosen is None else taken.views[chosen]) is first


@given(SEEDS)
@settings(max_examples=400, deadline=None)
def test_nobody_is_forgotten_and_nobody_unfit_is_preferred(seed: int) -> None:
    launch, taken, more = some_case(Random(seed))
    decision = decide(launch, taken, dice=Random(seed).random, **more)
    candidates = [candidate.view.member.name for candidate in decision.candidates]
    excluded = [one.name for one in decision.exclusions]
    assert sorted(candidates + excluded) == sorted(one.member.name for one in taken.views)
    assert all(one.reason for one in decision.exclusions) and decision.why
    assert not set(candidates) & set(more["tried"])
    for candidate in decision.candidates:
        assert candidate.view.state not in (State.EJECTED, State.DRAINED)
        assert decision.last_resort or candidate.view.refusal is None or candidate.note


class Watched(SlotTable):
    """Counts how much of its orders is read."""

    read = 0

    def order(self, key: str) -> Any:
        for index in super().order(key):
            self.read += 1
            yield index


def test_choosing_among_300_looks_at_few() -> None:
    """The cost that must stay flat, without a clock."""
    views = [view(f"m{number}", seats=Seats(70, 100)) for number in range(300)]
    plain = snapshot(views, RULES)
    table = Watched(plain.table.names, plain.table.weights)
    taken = replace(plain, table=table)
    for number in range(100):
        launch, one = replace(LAUNCH, repo_key=f"{number}"), f"m{number}"
        for holders in (frozenset[str](), frozenset({one}), frozenset(plain.table.names)):
            choose(launch, taken, rules=RULES, dice=lambda: 0.5, holders=holders)
    assert table.read == 200  # with one holder nothing needs to be ordered


def test_a_preference_counts_among_the_last_resort_too() -> None:
    full = [view(name, seats=Seats(4, 4)) for name in "abc"]
    _, plain = order(*full)
    wish = replace(LAUNCH, prefer=plain[2])
    assert order(*full, launch=wish)[1] == [plain[2], *plain[:2]]
    chosen = choose(wish, snapshot(full, RULES), rules=RULES, dice=lambda: 0.5)
    assert chosen == "abc".index(plain[2])


@pytest.mark.parametrize("order_name", sorted(POLICIES))
def test_bounded_load_holds_while_one_repository_floods_the_federation(order_name: str) -> None:
    """150 launches of one repository, one after the other: no member gets over its bound while another is below."""
    rules = PolicyRules(order_name)
    views = [view("a", weight=300, seats=Seats(150, 300)), view("b", weight=180, seats=Seats(90, 180))]
    views.append(view("c", weight=60, seats=Seats(30, 60)))
    throws = cycle([0.1, 0.55, 0.9, 0.3, 0.7])
    for _ in range(150):
        before = snapshot(views, rules)
        index = choose(LAUNCH, before, rules=rules, dice=throws.__next__)
        assert index is not None and before.loads[index] < before.limits[index]
        views[index] = again(views[index], leases=views[index].leases + 1)
    after = snapshot(views, rules)
    fair = [after.load * room / 540 for room in (300, 180, 60)]
    assert all(load <= 1.25 * share + 1 for load, share in zip(after.loads, fair, strict=True))
