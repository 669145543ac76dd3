"""How a launch comes along on a member, told event by event with made-up times."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.phases import Ending
from federation.core.progress import CONNECTING, PHASES, Progress

READY = {"phase": "ready", "url": "http://hub.example/user/x/", "token": "t"}
SPOKEN = [*PHASES[1:], "unknown", "nonsense", "", None]


def went(*steps: tuple[float, Any]) -> Progress:
    progress = Progress(0.0)
    for now, phase in steps:
        progress.take(READY if phase == "ready" else {"phase": phase}, "", now)
    return progress


def test_phases_are_measured_from_one_to_the_next() -> None:
    progress = went((1.0, "waiting"), (3.0, "building"), (9.0, "built"), (9.5, "launching"), (20.0, "ready"))
    assert progress.phases == (
        (CONNECTING, 1.0),
        ("waiting", 2.0),
        ("building", 6.0),
        ("built", 0.5),
        ("launching", 10.5),
    )


@pytest.mark.parametrize("phase", ["fetching", "building", "pushing"])
def test_while_an_image_is_made_every_event_is_progress(phase: str) -> None:
    assert went((1.0, phase), (5.0, phase)).since == 5.0
    assert went((1.0, phase), (5.0, "unknown")).since == 5.0


@pytest.mark.parametrize("phase", ["waiting", "built", "launching"])
def test_elsewhere_words_are_no_progress(phase: str) -> None:
    progress = went((1.0, phase), (5.0, phase), (6.0, "waiting"), (7.0, "unknown"))
    assert (progress.phase, progress.since) == (phase, 1.0)


def test_words_of_a_build_are_no_progress_of_a_launch() -> None:
    progress = went((1.0, "launching"), (5.0, "building"))
    assert (progress.phase, progress.since, progress.built) == ("launching", 1.0, True)


def test_what_the_visitor_held_up_does_not_count() -> None:
    progress = went((1.0, "launching"))
    progress.held_up(30.0)
    assert progress.since == 31.0
    progress.take(READY, "", 41.0)
    assert progress.phases[-1] == ("launching", 10.0)


def test_a_member_that_begins_anew_has_its_build_before_it_and_no_history() -> None:
    progress = Progress(0.0)
    progress.take({"phase": "launching"}, "one", 1.0)
    progress.take({"phase": "building"}, "two", 2.0)
    assert (progress.phase, progress.built, progress.since) == ("building", False, 2.0)
    verdict = progress.take({"phase": "failed", "message": "x"}, "two", 3.0)
    assert verdict is not None and verdict.ending is Ending.FINAL  # the build's, not the launch's
    progress.take(READY, "two", 4.0)
    assert progress.phases == ()


def test_a_member_is_heard_only_by_what_does_not_end_the_launch() -> None:
    progress = Progress(0.0)
    progress.take({"phase": "failed", "status_code": 429, "message": "x"}, "", 1.0)
    assert not progress.heard
    assert went((1.0, "nonsense")).heard


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(SPOKEN))))
def test_phases_only_go_forward_and_fill_the_time(steps: list[tuple[float, Any]]) -> None:
    progress, now, before = Progress(0.0), 0.0, 0
    for length, phase in steps:
        now += length
        progress.take({"phase": phase}, "", now)
        assert PHASES.index(progress.phase) >= before and progress.since <= now
        before = PHASES.index(progress.phase)
    progress.take(READY, "", now)
    assert sum(seconds for _, seconds in progress.phases) == pytest.approx(now)
    places = [PHASES.index(phase) for phase, _ in progress.phases]
    assert places == sorted(set(places))
