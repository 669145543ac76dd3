from __future__ import annotations

from dataclasses import replace
from typing import Any

from federation.core.model import Launch, Member, MemberView, Seats, State
from federation.core.routing import decide, health_label, unfit

LAUNCH = Launch("gh", "a/b/HEAD", "/build/gh/a/b")


def view(name: str, state: State = State.HEALTHY, weight: float = 1.0, **more: Any) -> MemberView:
    return MemberView(Member(name, "http://m", weight), state, reason=more.pop("reason", ""), **more)


def order(
    *views: MemberView,
    launch: Launch = LAUNCH,
    headroom: int = 0,
    tried: tuple[str, ...] = (),
    builders: tuple[str, ...] = (),
) -> Any:
    decision = decide(
        launch,
        views,
        policy="rendezvous",
        headroom=headroom,
        dice=lambda: 0.5,
        tried=tried,
        builders=builders,
    )
    return decision, [candidate.view.member.name for candidate in decision.candidates]


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
    assert unfit(roomy, 2) is None and unfit(roomy, 3) is not None
    assert unfit(replace(roomy, leases=2), 0) is None and unfit(replace(roomy, leases=3), 0) is not None
    assert unfit(view("m", seats=Seats(10**6, None)), 10) is None


def test_the_last_resort_is_the_unknown_then_the_full_and_never_the_dead() -> None:
    decision, names = order(
        view("full", seats=Seats(1, 1)),
        view("dead", State.EJECTED),
        view("off", State.DRAINED, weight=0),
        view("new", State.UNKNOWN),
    )
    assert names == ["new", "full"] and decision.last_resort
    nobody, names = order(view("dead", State.EJECTED))
    assert names == [] and not nobody.last_resort and nobody.why == "no member can take a launch"


def test_a_preference_is_honoured_only_for_a_member_that_is_fit() -> None:
    members = [view(name) for name in "abcdef"]
    _, plain = order(*members)
    wish = replace(LAUNCH, prefer=plain[3])
    decision, names = order(*members, launch=wish)
    assert names == [plain[3], *plain[:3], *plain[4:]] and "?member=" in decision.why
    ill = [replace(m, state=State.EJECTED) if m.member.name == plain[3] else m for m in members]
    decision, names = order(*ill, launch=wish)
    assert names == [name for name in plain if name != plain[3]] and "cannot take it" in decision.why
    assert order(*members, launch=replace(LAUNCH, prefer="no such"))[1] == plain


def test_whoever_may_be_building_the_version_comes_first_though_launches_have_taken_its_seats() -> None:
    members = [view(name, seats=Seats(0, 4)) for name in "abc"]
    _, plain = order(*members)
    crowded = [replace(m, leases=50) if m.member.name == plain[2] else m for m in members]
    decision, names = order(*crowded, builders=(plain[2],))
    assert names == [plain[2], *plain[:2]] and "building" in decision.why
    assert decision.exclusions == ()
    assert order(*crowded, builders=(plain[2],), tried=(plain[2],))[1] == plain[:2]
    wish = replace(LAUNCH, prefer=plain[1])
    assert order(*crowded, launch=wish, builders=(plain[2],))[1][0] == plain[1]


def test_nobody_joins_a_build_on_a_member_that_is_ill_or_full_of_sessions() -> None:
    members = [view(name, seats=Seats(0, 4)) for name in "abc"]
    _, plain = order(*members)
    for ill in ({"state": State.EJECTED}, {"state": State.DRAINED}, {"seats": Seats(4, 4)}):
        changed = [replace(m, **ill) if m.member.name == plain[2] else m for m in members]  # type: ignore[arg-type]
        decision, names = order(*changed, builders=(plain[2],))
        assert names == plain[:2] and "building" not in decision.why


def test_launches_that_lost_their_builder_wait_for_the_next_one_together() -> None:
    """Most of them still count for the one that died; its successor is soon full of launches under way."""
    members = [view(name, seats=Seats(0, 4)) for name in "abc"]
    _, plain = order(*members)
    died, heir, other = plain
    crowded = [replace(m, leases=4) if m.member.name == heir else m for m in members]
    assert order(*crowded, builders=(died, heir), tried=(died,))[1] == [heir, other]
    ill = [replace(m, state=State.EJECTED) if m.member.name == died else m for m in crowded]
    assert order(*ill, builders=(died, heir))[1] == [heir, other]
    drained = [replace(m, state=State.DRAINED) if m.member.name == died else m for m in crowded]
    assert order(*drained, builders=(died, heir))[1] == [heir, other]


def test_the_label_for_metrics_holds_no_numbers() -> None:
    assert health_label(view("m"), 0) == ""
    assert health_label(view("m", seats=Seats(9, 9)), 0) == "Pod quota"
    assert (
        health_label(view("m", State.EJECTED, reason="failing: Docker registry"), 0)
        == "failing: Docker registry"
    )
