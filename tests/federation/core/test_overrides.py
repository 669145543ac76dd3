from __future__ import annotations

from federation.core.model import Member
from federation.core.steering import NOTHING_SET, Override, Word, applied

A, B = Member("a", "http://a", 10.0), Member("b", "http://b", 5.0)


def test_a_weight_and_a_drain_end_each_by_itself() -> None:
    overrides = {
        "a": Override(3.0, Word("ana", until=100.0), Word("ben", "disk", until=50.0)),
        "gone": Override(1.0, Word("ana")),
    }
    now = applied((A, B), overrides, 0.0)
    assert [(one.weight, one.closed) for one in now] == [(0.0, "drained: disk"), (5.0, "")]
    assert [one.weight for one in applied((A, B), overrides, 50.0)] == [3.0, 5.0]
    assert applied((A, B), overrides, 100.0) == (A, B)
    assert overrides["a"].now(100.0) == NOTHING_SET


def test_a_member_without_weight_is_closed_and_says_so() -> None:
    assert Member("a", "http://a", 0.0).closed == "weight 0"
    assert A.closed == ""
