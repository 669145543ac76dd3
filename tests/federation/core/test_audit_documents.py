"""What operators set, as documents: nothing of it changes on the way there and back, and no half of it is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.audit import change_told, document, read_change, read_document, told
from federation.core.steering import (
    NOTHING_SET,
    Change,
    Drain,
    Override,
    Undrain,
    Unweigh,
    Weigh,
    Word,
    edited,
    tag,
    with_one,
)

times = st.floats(0, 4e9)
texts = st.text(max_size=20)
words = st.builds(Word, texts, texts, times, st.none() | times)
weighted = st.builds(lambda weight, word: Override(weight, word), st.floats(0, 1e9), words)
overrides = st.builds(
    lambda one, drained: Override(one.weight, one.weighted, drained),
    weighted | st.just(NOTHING_SET),
    st.none() | words,
)
changes = st.builds(
    Change, times, texts, texts, texts, overrides, overrides, texts, st.none() | times, st.integers(1, 2**50)
)


@given(st.dictionaries(texts, overrides.filter(lambda one: one != NOTHING_SET)), st.integers(0, 2**50))
def test_what_is_set_comes_back_as_it_was(kept: dict[str, Override], through: int) -> None:
    written = json.loads(json.dumps(document(kept, through)))
    assert read_document(written) == (kept, through)


@given(changes)
def test_a_change_comes_back_as_it_was(change: Change) -> None:
    assert read_change(json.loads(json.dumps(change_told(change)))) == change


@pytest.mark.parametrize(
    ("found", "key"),
    [
        ([], "the document"),
        ({}, "version"),
        ({"version": 2, "through": 0, "members": {}}, "version"),
        ({"version": 1, "members": {}}, "through"),
        ({"version": 1, "through": 0, "members": []}, "members"),
        ({"version": 1, "through": 0, "members": {"a": {"weight": {"value": "3"}}}}, "members.a: value"),
        ({"version": 1, "through": 0, "members": {"a": {"drained": {"by": 3}}}}, "members.a: by"),
    ],
)
def test_a_half_is_refused_with_its_place(found: Any, key: str) -> None:
    with pytest.raises(ValueError, match=key):
        read_document(found)


def test_the_public_does_not_read_who_set_it() -> None:
    word = Word("ana", "disk", 1.0, 2.0)
    for named, by in ((True, "ana"), (False, None)):
        shown = told(Override(3.0, word, word), named=named)
        assert shown is not None
        assert (shown["weight"]["by"], shown["drained"]["by"]) == (by, by)
        assert shown["weight"]["value"] == 3.0 and shown["drained"]["reason"] == "disk"
    assert told(NOTHING_SET) is None


def test_edits_leave_alone_what_they_do_not_name() -> None:
    ana, ben = Word("ana", at=1.0), Word("ben", at=2.0)
    both = edited(edited(NOTHING_SET, [Weigh(3.0)], ana), [Drain()], ben)
    assert both == Override(3.0, ana, ben)
    assert edited(both, [Undrain()], ana) == Override(3.0, ana)
    assert edited(both, [Unweigh()], ana) == Override(drained=ben)
    assert edited(both, [Unweigh(), Undrain()], ana) == NOTHING_SET
    assert with_one({"a": both}, "a", NOTHING_SET) == {}


@given(overrides, overrides)
def test_another_tag_for_whatever_else_is_set(one: Override, other: Override) -> None:
    def nameless(override: Override) -> Any:
        return told(override, named=False)

    assert (tag(1.0, one) == tag(1.0, other)) == (nameless(one) == nameless(other))
    assert tag(1.0, one) != tag(2.0, one)
