"""What is kept over a restart: read back as it was, or not at all, and trusted only where distrust was earned."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.health import Standing
from federation.core.model import Seats, State
from federation.core.rules import HealthRules
from federation.core.saved import Kept, alike, document, on_start, read, seats_now
from federation.core.seats import Learned

RULES = HealthRules(eject_max=300)
times = st.floats(0, 4e9)
counts = st.integers(0, 10_000)
kept = st.builds(
    Kept,
    st.text(max_size=30),
    st.builds(
        Standing,
        state=st.sampled_from(State),
        since=times,
        by_launches=st.booleans(),
        until=times,
        ejections=counts,
    ),
    st.text(st.characters(categories=("L", "N", "P")), max_size=50),
    st.just(Learned()) | st.builds(Learned, counts, times),
    st.dictionaries(st.sampled_from(["binderhub", "builder"]), st.text("abc1.", max_size=5)),
    st.none() | st.builds(Seats, counts, st.none() | counts),
    st.none() | times,
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), kept, max_size=4))
def test_what_is_written_is_read_back(members: dict[str, Kept]) -> None:
    assert read(json.loads(json.dumps(document(members)))) == members


@given(kept, st.data())
def test_a_bad_or_unknown_field_costs_that_field_alone(one: Kept, data: st.DataObject) -> None:
    written = document({"alpha": one})["members"]["alpha"]
    name = data.draw(st.sampled_from([*sorted(written.keys() - {"url"}), "from_the_future"]))
    found = read({"version": 1, "members": {"alpha": {**written, name: data.draw(anything)}}})["alpha"]
    whole = read({"version": 1, "members": {"alpha": written}})["alpha"]
    touched = {
        "state": "standing",
        "since": "standing",
        "ejected_by_launches": "standing",
        "ejected_until": "standing",
        "ejections": "standing",
    }.get(name, name)
    for field in ("url", "standing", "reason", "learned", "versions", "seats", "seen"):
        if field != touched:
            assert getattr(found, field) == getattr(whole, field)
    on_start(found, RULES, 1e9)


@pytest.mark.parametrize("found", [None, [], "x", {}, {"version": 2, "members": {}}, {"version": True}])
def test_another_document_is_none(found: object) -> None:
    with pytest.raises(ValueError, match="version 1"):
        read(found)


def test_members_that_are_none_are_passed_over() -> None:
    assert read({"version": 1, "members": {"alpha": 1, "beta": {"state": "healthy"}}}) == {}
    assert read({"version": 1, "members": 7}) == {}


@given(kept, times)
def test_nobody_is_trusted_at_the_start(one: Kept, now: float) -> None:
    standing, reason = on_start(one, RULES, now)
    assert standing.state in (State.UNKNOWN, State.EJECTED)
    assert standing.ejections == one.standing.ejections
    assert standing.since <= now
    assert standing.until <= now + 1.1 * RULES.eject_max
    if standing.state is State.UNKNOWN:
        assert reason == f"not seen since the start; was {one.standing.state} before"
    else:
        assert standing.by_launches
        assert reason == one.reason


@pytest.mark.parametrize("state", [State.EJECTED, State.TRIAL])
def test_one_that_was_ejected_for_its_launches_is_still_to_prove_itself(state: State) -> None:
    before = Standing(state, since=900, by_launches=True, until=1100, ejections=2)
    standing, _ = on_start(Kept("u", before, "failed"), RULES, 1000)
    assert standing == replace(before, state=State.EJECTED)
    recovered = replace(before, state=State.HEALTHY)
    assert on_start(Kept("u", recovered), RULES, 1000)[0].state is State.UNKNOWN


def test_old_numbers_of_seats_say_nothing() -> None:
    one = Kept("u", Standing(), seats=Seats(3, 9), seen=1000)
    assert seats_now(one, 1060) == Seats(3, 9)
    assert seats_now(one, 1000 + 3600) is None
    assert seats_now(one, 900) is None


def test_a_look_that_changed_nothing_is_not_worth_writing() -> None:
    one = Kept("u", Standing(), seats=Seats(3, 9), seen=1000)
    written = document({"alpha": one})
    assert alike(document({"alpha": replace(one, seen=2000)}), written)
    assert not alike(document({"alpha": replace(one, seats=Seats(4, 9))}), written)
    assert not alike(document({}), written)
    assert not alike(written, None)
