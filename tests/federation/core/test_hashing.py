from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from federation.core.hashing import LARGEST, draw, score
from federation.core.model import Member, MemberView
from federation.core.policies import rendezvous, weighted_random

NAMES = st.lists(st.text("abcdefgh-0123", min_size=1, max_size=12), min_size=1, max_size=8, unique=True)


def views(weights: dict[str, float]) -> list[MemberView]:
    return [MemberView(Member(name, "http://m", weight)) for name, weight in weights.items()]


def order(key: str, weights: dict[str, float]) -> list[str]:
    return [candidate.view.member.name for candidate in rendezvous(key, views(weights), lambda: 0.5)]


def firsts(weights: dict[str, float], keys: int = 100) -> dict[str, int]:
    won = dict.fromkeys(weights, 0)
    for number in range(keys):
        won[order(f"key-{number}", weights)[0]] += 1
    return won


def test_the_vectors_of_federation_redirect() -> None:
    assert firsts({"a": 1, "b": 1}) == {"a": 52, "b": 48}
    assert firsts({"a": 0.8, "b": 0.2}) == {"a": 75, "b": 25}
    assert firsts({"a": 0.8, "b": 0}) == {"a": 100, "b": 0}
    key = "/build/gh/binder-examples/requirements"
    assert draw(key, "hetzner-2i2c") == 0x650420545852B398 / LARGEST
    assert score(50, draw(key, "hetzner-2i2c")) == 53.769375544779926
    production = {"hetzner-2i2c": 50.0, "hetzner-gesis": 50.0, "bids-ovh": 50.0}
    assert order(key, production) == ["hetzner-gesis", "hetzner-2i2c", "bids-ovh"]


def test_both_ends_of_the_hash_have_a_score() -> None:
    assert score(1, 0 / LARGEST) == 0.0
    assert score(1, LARGEST / LARGEST) == inf
    assert score(1, (LARGEST - 1) / LARGEST) == inf  # rounds to 1
    assert score(1, 1 / LARGEST) > 0
    assert score(0, 0.5) == score(0, 1.0) == 0.0


@given(st.text(max_size=40), NAMES)
def test_the_order_is_total_and_does_not_depend_on_how_members_are_listed(key: str, names: list[str]) -> None:
    weights = dict.fromkeys(names, 1.0)
    found = order(key, weights)
    assert sorted(found) == sorted(names)
    assert order(key, dict.fromkeys(reversed(names), 1.0)) == found


@given(st.text(max_size=40), NAMES, st.data())
def test_removing_a_member_keeps_the_order_of_the_others(
    key: str, names: list[str], data: st.DataObject
) -> None:
    weights = {name: data.draw(st.floats(0.1, 1000), label=name) for name in names}
    gone = data.draw(st.sampled_from(names))
    left = {name: weight for name, weight in weights.items() if name != gone}
    assert order(key, left) == [name for name in order(key, weights) if name != gone]


def test_shares_follow_weights() -> None:
    won = firsts({"a": 300, "b": 180, "c": 60}, 20_000)
    for name, share in {"a": 300 / 540, "b": 180 / 540, "c": 60 / 540}.items():
        assert abs(won[name] / 20_000 - share) < 0.015


def test_equal_scores_are_ordered_by_name_backwards_as_upstream_sorts() -> None:
    drawn = weighted_random("", views({"a": 1, "c": 1, "b": 1}), lambda: 0.5)
    assert [candidate.view.member.name for candidate in drawn] == ["c", "b", "a"]


def test_random_uses_the_dice_it_is_given() -> None:
    throws = iter([0.1, 0.9])
    drawn = weighted_random("", views({"a": 1, "b": 1}), lambda: next(throws))
    assert [candidate.view.member.name for candidate in drawn] == ["b", "a"]


def test_no_policy_names_a_member_without_weight() -> None:
    assert order("key", {"a": 0}) == []
    assert weighted_random("", views({"a": 0}), lambda: 0.5) == ()
