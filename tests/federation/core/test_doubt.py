from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.doubt import Silence, fallen, window
from federation.core.model import TAKING, State
from federation.core.rules import HealthRules

RULES = HealthRules(interval=10, timeout=2, jitter=0.1, fall=2)
AT_ONCE = window(RULES)


def silent(since: float | None, before: State = State.HEALTHY, looks: int = 2) -> Silence:
    return Silence(since, looks, before)


ANSWERS = Silence(None, 0, State.UNKNOWN)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([], ""),
        ([silent(5)], ""),
        ([silent(5), silent(5)], "ab"),
        ([silent(5), silent(5 + AT_ONCE)], "ab"),
        ([silent(5), silent(6 + AT_ONCE)], ""),
        ([silent(5), silent(6), ANSWERS], ""),
        # The last one has missed a single look: it may answer the next.
        ([silent(5), silent(6), silent(7, looks=1)], ""),
        # Two died and stayed dead; then the last one goes, alone.
        ([silent(5), silent(6), silent(500)], ""),
        # One has been dead for long, and then the others go at once: it stays dead.
        ([silent(5), silent(500), silent(505)], "bc"),
        # Nobody was trusted before.
        ([silent(5, State.UNKNOWN), silent(5, State.EJECTED)], ""),
        ([silent(5, State.UNKNOWN), silent(5, State.DEGRADED), silent(5, State.TRIAL)], "bc"),
    ],
)
def test_who_fell_silent_at_once(members: list[Silence], expected: str) -> None:
    named = dict(zip("abcdef", members, strict=False))
    assert fallen(named, RULES) == tuple(expected)


SILENCES = st.builds(
    Silence, st.one_of(st.none(), st.floats(0, 100)), st.integers(0, 4), st.sampled_from(list(State))
)


@given(st.dictionaries(st.sampled_from("abcdef"), SILENCES))
def test_doubt_needs_two_that_were_trusted_and_nobody_who_answers(
    members: dict[str, Silence],
) -> None:
    found = fallen(members, RULES)
    assert len(found) != 1 and set(found) <= set(members)
    for name in found:
        assert members[name].before in TAKING
    if found:
        since = [member.since for member in members.values()]
        assert None not in since and all(member.looks >= RULES.fall for member in members.values())
        assert fallen({**members, "z": ANSWERS}, RULES) == ()


def test_the_window_is_two_looks_that_wait_for_their_timeout() -> None:
    assert pytest.approx(26.0) == AT_ONCE
