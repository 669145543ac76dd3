from __future__ import annotations

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.hashing import LARGEST, SLOTS, draw, score, slot_of, strengths


def test_the_vectors_of_federation_redirect() -> None:
    key = "/build/gh/binder-examples/requirements"
    assert draw(key, "hetzner-2i2c") == 0x650420545852B398 / LARGEST
    assert score(50, draw(key, "hetzner-2i2c")) == 53.769375544779926


def test_both_ends_of_the_hash_have_a_score() -> None:
    assert score(1, 0 / LARGEST) == 0.0
    assert score(1, LARGEST / LARGEST) == inf
    assert score(1, (LARGEST - 1) / LARGEST) == inf  # rounds to 1
    assert score(1, 1 / LARGEST) > 0
    assert score(0, 0.5) == score(0, 1.0) == 0.0


@given(st.text(max_size=40))
@settings(max_examples=20, deadline=None)
def test_every_key_has_a_slot_and_every_member_a_score_in_it(text: str) -> None:
    assert 0 <= slot_of(text) < SLOTS
    assert 0 < strengths(text)[slot_of(text)] < inf


def test_slots_and_strengths_are_the_same_in_every_process() -> None:
    assert slot_of("/build/gh/binder-examples/requirements") == 7782
    assert [round(one, 6) for one in strengths("hetzner-2i2c")[:3]] == [0.524509, 39.712799, 0.193763]
