"""Facts as lines, and the log's own faults: they cost a line and nothing else."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path

import pytest

from federation.adapters.log import FactLog
from federation.core.facts import BlindnessChanged, Fact, LookFailed, Overdue
from federation.core.launchkey import parse_launch
from federation.core.rules import LogRules


def line(fact: Fact, **rules: str) -> dict[str, object]:
    """What the log says of a fact, without its time."""
    stream = io.StringIO()
    FactLog(LogRules(format="json", **rules), stream).listen(fact)
    told = json.loads(stream.getvalue())
    del told["timestamp"]
    return dict(told)


def test_a_launch_that_stands_still_is_a_warning_without_its_query() -> None:
    launch = parse_launch("/build/gh/user/repo/HEAD", "build_token=secret")
    assert line(Overdue(launch, 7, "alpha", 2, "building", 91.23456)) == {
        "event": "launch stands still",
        "level": "warning",
        "provider": "gh",
        "spec": "user/repo/HEAD",
        "member": "alpha",
        "attempt": 2,
        "phase": "building",
        "seconds": 91.235,
    }


def test_blindness_and_its_end_are_lines_that_no_level_but_error_hides() -> None:
    blind = BlindnessChanged(1000.0, "no member answers; the last good view is kept")
    told = {"event": "front door is blind", "level": "error", "reason": blind.reason}
    assert line(blind) == line(blind, level="error") == told
    assert line(BlindnessChanged(None, "a member answers again")) == {
        "event": "front door sees its members again",
        "level": "info",
        "reason": "a member answers again",
    }


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_full_disk_costs_lines_and_nothing_else(form: str) -> None:
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115 - closing it fails too
    log = FactLog(LogRules(format=form), full)
    log.listen(LookFailed("alpha", "no answer"))
    log.say("front door ready")
    with suppress(OSError):
        full.close()


def test_a_closed_stream_costs_lines_and_nothing_else() -> None:
    stream = io.StringIO()
    log = FactLog(LogRules(), stream)
    log.listen(LookFailed("alpha", "no answer"))
    assert "looked bad" in stream.getvalue()
    stream.close()
    log.listen(LookFailed("alpha", "no answer"))
