from __future__ import annotations

from itertools import pairwise

import pytest
from contract_files import recorded
from hypothesis import given
from hypothesis import strategies as st

from federation.core.errors import Garbled
from federation.core.sse import EventParser

STREAM = (
    b'\xef\xbb\xbf:keepalive\r\n\r\ndata: {"a": 1}\r\n\r\n'
    b"event: x\nid: 7\nretry: 1\ndata:no space\ndata:  two spaces\n\n\n\n"
    b"data\rdata:\r\r: comment\n\ndata: \xc3\xa4\n\ndata: half"
)
WHOLE = [b'{"a": 1}', b"no space\n two spaces", b"\n", b"\xc3\xa4"]


def test_fields_comments_line_ends_and_halves() -> None:
    parser = EventParser()
    assert [event.data for event in parser.feed(STREAM)] == WHOLE
    assert parser.pending


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    parser = EventParser()
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(edges)]
    assert [event.data for piece in pieces for event in parser.feed(piece)] == WHOLE


@given(
    st.lists(st.sampled_from([b"data: x", b"data", b"\r", b"\n", b"\r\n", b":c", b"", b"a: b"]), max_size=20)
)
def test_a_stream_byte_by_byte_is_the_stream_in_one_piece(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    single, whole = EventParser(), EventParser()
    one_by_one = [event for index in range(len(stream)) for event in single.feed(stream[index : index + 1])]
    assert one_by_one == whole.feed(stream)
    assert single.pending == whole.pending


def test_a_recorded_build_log_gives_all_its_lines() -> None:
    stream = recorded("binderhub/cold-requirements")
    events = EventParser().feed(stream)
    assert len(events) == stream.count(b"data: ") > 50
    assert events[-1].data.startswith(b'{"phase": "ready"')


@pytest.mark.parametrize("piece", [b"x" * 1000, b"data: x\n", b": comment without an end"])
def test_an_endless_line_or_event_is_given_up(piece: bytes) -> None:
    parser = EventParser(largest=10_000)
    with pytest.raises(Garbled, match="more than 10000 bytes"):
        for _ in range(11_000):
            parser.feed(piece)


def test_many_events_together_are_no_large_event() -> None:
    parser = EventParser(largest=100)
    assert len(parser.feed(b"data: 0123456789\n\n" * 1000)) == 1000
    assert not parser.pending


def test_an_id_holds_until_the_next_one() -> None:
    stream = (
        b"data: a\n\nid: 1\ndata: b\n\ndata: c\n\nid\ndata: d\n\nid:2\n\ndata: e\n\nid: \xc3\xa4\ndata: f\n\n"
    )
    assert EventParser().feed(stream) == [
        (b"a", ""),
        (b"b", "1"),
        (b"c", "1"),
        (b"d", ""),
        (b"e", "2"),
        (b"f", ""),
    ]
    assert EventParser().feed(b"id: 1\nid: a\0b\ndata: x\n\n") == [(b"x", "1")]
    assert EventParser().feed(b"id: " + b"x" * 300 + b"\ndata: x\n\n") == [(b"x", "")]
