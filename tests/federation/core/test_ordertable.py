"""What both tables promise, for few members and for many."""

from __future__ import annotations

from itertools import cycle
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.ordertable import FEW, KeyTable, OrderTable, SlotTable, order_table
from federation.core.policies import POLICIES, weighted_random

KINDS = pytest.mark.parametrize("kind", [KeyTable, SlotTable])
Kind = type[KeyTable] | type[SlotTable]
NAMES = st.lists(st.text("abcdefgh-0123", min_size=1, max_size=12), min_size=1, max_size=8, unique=True)
SOME = [*"abcdefgh", "hetzner-2i2c", "hetzner-gesis", "bids-ovh", "-", "0", "a-0"]
WEIGHTS = st.dictionaries(st.sampled_from(SOME), st.floats(0.1, 1000), min_size=1, max_size=8)
KEYS = st.text(max_size=40)


def table(kind: Kind, weights: dict[str, float]) -> OrderTable:
    return kind(tuple(weights), tuple(weights.values()))


def named(table: OrderTable, key: str) -> list[str]:
    return [table.names[index] for index in table.order(key)]


def firsts(table: OrderTable, keys: int) -> dict[str, int]:
    won = dict.fromkeys(table.names, 0)
    for number in range(keys):
        won[table.names[table.order(f"key-{number}")[0]]] += 1
    return won


def test_few_members_fall_as_in_federation_redirect() -> None:
    assert firsts(order_table({"a": 1.0, "b": 1.0}.items()), 100) == {"a": 52, "b": 48}
    assert firsts(order_table({"a": 0.8, "b": 0.2}.items()), 100) == {"a": 75, "b": 25}
    assert firsts(order_table({"a": 0.8, "b": 0.0}.items()), 100) == {"a": 100, "b": 0}
    production = order_table([("hetzner-2i2c", 50.0), ("hetzner-gesis", 50.0), ("bids-ovh", 50.0)])
    key = "/build/gh/binder-examples/requirements"
    assert named(production, key) == ["hetzner-gesis", "hetzner-2i2c", "bids-ovh"]
    assert production.score(key, 0) == 53.769375544779926


def test_the_number_of_members_chooses_the_kind() -> None:
    assert isinstance(order_table((f"m{n}", 1.0) for n in range(FEW)), KeyTable)
    assert isinstance(order_table((f"m{n}", 1.0) for n in range(FEW + 1)), SlotTable)


@KINDS
@settings(deadline=None)
@given(key=KEYS, weights=WEIGHTS)
def test_the_order_is_total_by_score_and_does_not_depend_on_how_members_are_listed(
    kind: Kind, key: str, weights: dict[str, float]
) -> None:
    made = table(kind, weights)
    assert sorted(named(made, key)) == sorted(weights)
    assert named(table(kind, dict(reversed(weights.items()))), key) == named(made, key)
    scores = [made.score(key, index) for index in made.order(key)]
    assert scores == sorted(scores, reverse=True)


@KINDS
@settings(deadline=None)
@given(key=KEYS, weights=WEIGHTS, data=st.data())
def test_removing_a_member_keeps_the_order_of_the_others(
    kind: Kind, key: str, weights: dict[str, float], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(weights)))
    left = {name: weight for name, weight in weights.items() if name != gone}
    expected = [name for name in named(table(kind, weights), key) if name != gone]
    assert named(table(kind, left), key) == expected


@KINDS
@settings(deadline=None)
@given(key=KEYS, weights=WEIGHTS, factor=st.floats(0.1, 10), data=st.data())
def test_a_changed_weight_moves_that_member_alone_and_only_its_own_way(
    kind: Kind, key: str, weights: dict[str, float], factor: float, data: st.DataObject
) -> None:
    one = data.draw(st.sampled_from(sorted(weights)))
    before = named(table(kind, weights), key)
    after = named(table(kind, {**weights, one: weights[one] * factor}), key)
    assert [n for n in after if n != one] == [n for n in before if n != one]
    moved = after.index(one) - before.index(one)
    assert moved <= 0 if factor >= 1 else moved >= 0


@KINDS
def test_shares_follow_weights(kind: Kind) -> None:
    weights = {"a": 300.0, "b": 180.0, "c": 60.0}
    won = firsts(table(kind, weights), 20_000)
    for name, weight in weights.items():
        assert abs(won[name] / 20_000 - weight / 540) < 0.015


def test_shares_of_many_members_are_as_even_as_the_number_of_slots_allows() -> None:
    won = firsts(order_table((f"member-{n}", 1.0 + n % 2) for n in range(30)), 20_000)
    for number, name in enumerate(won):
        fair = (1 + number % 2) / 45
        assert abs(won[name] / 20_000 / fair - 1) < 0.35


@KINDS
def test_a_member_without_weight_is_last(kind: Kind) -> None:
    made = table(kind, {"a": 0.0, "b": 1.0, "c": 0.0})
    assert all(named(made, f"key-{n}") == ["b", "c", "a"] for n in range(50))
    assert made.score("key-1", 0) == 0


def test_random_gives_every_member_once_in_the_shares_of_the_weights() -> None:
    made = order_table({"a": 300.0, "b": 180.0, "c": 60.0, "off": 0.0}.items())
    dice = Random(4).random
    won = [0, 0, 0, 0]
    for _ in range(5000):
        order = list(weighted_random("any", made, dice))
        assert sorted(order) == [0, 1, 2]
        won[order[0]] += 1
    assert all(abs(won[i] / 5000 - w / 540) < 0.03 for i, w in enumerate((300, 180, 60)))


@given(NAMES, st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_random_ends_with_any_dice(names: list[str], throws: list[float]) -> None:
    made = order_table((name, 1.0) for name in names)
    order = list(weighted_random("", made, cycle(throws).__next__))
    assert sorted(order) == list(range(len(names)))


def test_random_uses_the_dice_it_is_given() -> None:
    made = order_table({"a": 1.0, "b": 1.0}.items())
    assert next(iter(weighted_random("", made, lambda: 0.1))) == 0
    assert next(iter(weighted_random("", made, lambda: 0.9))) == 1


def test_a_federation_without_members_or_weights_has_no_order() -> None:
    for made in (order_table([]), order_table([("a", 0.0)])):
        assert list(weighted_random("", made, lambda: 0.5)) == []
    assert list(POLICIES["rendezvous"].order("key", order_table([]), lambda: 0.5)) == []
