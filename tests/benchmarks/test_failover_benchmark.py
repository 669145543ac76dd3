"""The failover benchmark counts as noticed what a visitor notices, and nothing else."""

from __future__ import annotations

import pytest

from benchmarks.failover import DEAD, Click, Result, _noticed, table

KILLED = 100.0


@pytest.mark.parametrize(
    ("mode", "sent", "ready", "noticed"),
    [
        ("relay", [(DEAD, 99.9), ("alpha", 100.1)], True, False),
        ("relay", [(DEAD, 100.1), ("alpha", 100.2)], True, False),
        ("relay", [(DEAD, 99.9)], False, True),
        ("redirect", [(DEAD, 99.9)], True, False),
        ("redirect", [(DEAD, 100.1)], True, True),
        ("redirect", [("alpha", 100.1)], True, False),
        ("redirect", [], False, True),
    ],
)
def test_who_notices(mode: str, sent: list[tuple[str, float]], ready: bool, noticed: bool) -> None:
    assert _noticed(Click(99.8, sent, 101.0, ready), mode, KILLED) is noticed


def test_the_table_shows_shares_with_their_numbers_and_what_was_not_seen() -> None:
    lines = table(
        {"redirect": Result(200.0, 7.62, 1500, 495, 14.6), "relay": Result(199.7, 0.04, 0, 0, None)}
    )
    assert "7.6 s" in lines and "33 % (495 of 1,500)" in lines and "14.6 s" in lines
    assert "0 % (0 of 0)" in lines and "not within 30 s" in lines and "290 s" in lines
    assert len({len(line) for line in lines.splitlines()}) == 1
