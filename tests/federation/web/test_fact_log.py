"""The log's own faults: they cost a line and nothing else."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import pytest

from federation.adapters.log import FactLog
from federation.core.facts import LookFailed
from federation.core.rules import LogRules


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
