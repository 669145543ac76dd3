from __future__ import annotations

from federation.core.facts import Chosen, LookFailed
from federation.core.launchkey import parse_spec
from federation.core.model import Decision
from federation.service.shares import SPAN, SPANS, RecentChoices

LAUNCH = parse_spec("gh/u/r/HEAD")


class Clock:
    time = 1_000_000.0

    def now(self) -> float:
        return self.time


def test_choices_count_for_some_minutes_and_for_each_attempt() -> None:
    clock = Clock()
    recent = RecentChoices(clock)
    recent.listen(LookFailed("a", "ill"))
    for attempt in (1, 2):
        recent.listen(Chosen(Decision(LAUNCH, ()), 1, "a", attempt))
    clock.time += SPAN * (SPANS - 2)
    recent.count("b")
    assert recent.counts() == {"a": 2, "b": 1}
    clock.time += SPAN * 2
    assert recent.counts() == {"b": 1}
    clock.time += SPAN * SPANS
    assert recent.counts() == {}


def test_a_clock_that_jumps_neither_breaks_nor_fills_it() -> None:
    clock = Clock()
    recent = RecentChoices(clock)
    for jump in (0, -5000, 90_000, -90_000, 300) * 10:
        clock.time += jump
        recent.count("a")
        assert 1 <= recent.counts()["a"] <= 50
