"""Of a stream without end the newest events are kept, and whoever is behind them is told how far."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.core.tail import Tail

EVENTS = st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=40)


@given(EVENTS, st.integers(1, 40), st.data())
def test_what_is_kept_and_what_was_missed_make_up_what_was_asked_for(
    events: list[bytes], limit: int, data: st.DataObject
) -> None:
    tail = Tail(limit)
    for event in events:
        tail.append(event)
    after = data.draw(st.integers(0, len(events)))
    part = tail.after(after)
    assert tail.last == len(events)
    assert part.missed + len(part.events) == len(events) - after
    assert list(part.events) == events[len(events) - len(part.events) :]
    everything = tail.after(0).events
    assert sum(map(len, everything)) <= limit or everything == (events[-1],)
    room = limit - sum(map(len, everything))
    assert len(everything) == len(events) or len(events[-len(everything) - 1]) > room


def test_who_has_all_misses_nothing() -> None:
    tail = Tail(1)
    assert tail.after(0).events == () and tail.after(0).missed == 0
    tail.append(b"long")
    assert tail.after(1).events == () and tail.after(1).missed == 0
