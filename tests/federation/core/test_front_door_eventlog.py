from hypothesis import given
from hypothesis import strategies as st

from federation.core.eventid import EventId, parse_event_id
from federation.core.eventlog import EventLog

LAUNCH = st.text("abcXYZ019_-", min_size=16, max_size=64)


def read(log: EventLog[int], after: int) -> tuple[list[int], list[int]]:
    """All events after this number, and after which numbers events were missed."""
    found: list[int] = []
    gaps: list[int] = []
    while stretch := log.after(after):
        if stretch.missed:
            gaps.append(after)
        if not stretch.events:
            break
        assert stretch.first == after + stretch.missed + 1
        found += stretch.events
        assert stretch.last > after
        after = stretch.last
    return found, gaps


@given(st.lists(st.integers(1, 50), max_size=300), st.integers(0, 320))
def test_below_its_limit_a_log_keeps_everything(sizes: list[int], after: int) -> None:
    log: EventLog[int] = EventLog(4 * sum(sizes) + 2)
    for number, size in enumerate(sizes, 1):
        log.append(number, size)
    assert log.last == len(sizes) and log.endangered == 0
    assert read(log, after) == (list(range(after + 1, len(sizes) + 1)), [])


@given(st.lists(st.integers(1, 50), max_size=600), st.integers(0, 620), st.integers(2, 400))
def test_above_it_beginning_and_end_stay_in_order(sizes: list[int], after: int, limit: int) -> None:
    log: EventLog[int] = EventLog(limit)
    for number, size in enumerate(sizes, 1):
        log.append(number, size)
    found, gaps = read(log, after)
    assert found == sorted(set(found)) and all(number > after for number in found)
    assert not found or found[-1] == len(sizes)
    assert len(gaps) <= 1
    kept, _ = read(log, 0)
    assert found == [number for number in kept if number > after]
    sizes_kept = [sizes[number - 1] for number in kept]
    assert sum(sizes_kept) <= max(limit, limit // 2 + (sizes[-1] if sizes else 0))
    if log.endangered:
        assert log.endangered in kept
    missing = set(range(1, len(sizes) + 1)) - set(kept)
    assert not missing or missing == set(range(min(missing), max(missing) + 1))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(2, 400))
def test_what_is_endangered_is_forgotten_first(sizes: list[int], limit: int) -> None:
    log: EventLog[int] = EventLog(limit)
    for number, size in enumerate(sizes, 1):
        before, next_to_go = read(log, 0)[0], log.endangered
        log.append(number, size)
        gone = set(before) - set(read(log, 0)[0])
        assert not gone or not next_to_go or min(gone) == next_to_go


@given(LAUNCH, st.integers(0, 10**9 - 1))
def test_an_id_is_read_as_it_was_written(launch: str, number: int) -> None:
    assert parse_event_id(str(EventId(launch, number))) == EventId(launch, number)
    assert parse_event_id(f" {launch} ") == EventId(launch, 0)


@given(st.text(max_size=80))
def test_no_text_does_harm(text: str) -> None:
    id = parse_event_id(text)
    assert id is None or text.strip() in (
        str(id),
        id.launch,
        f"{id.launch}.{text.strip().rpartition('.')[2]}",
    )


def test_what_is_no_id() -> None:
    for text in ("", ".", "a" * 15, "a" * 65, "a" * 22 + ".", "a" * 22 + ".-1", "a" * 22 + "." + "1" * 10):
        assert parse_event_id(text) is None
    assert parse_event_id("a" * 22 + ".\u0663") is None
