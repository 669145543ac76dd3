"""What the member's log must not say."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from members.adapters import log
from members.core.facts import Trouble


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_trace_shows_no_values(capsys: pytest.CaptureFixture[str], format: str) -> None:
    """The tokens of sessions and of the hub are values of local variables where requests are sent."""

    def ask(headers: dict[str, str]) -> None:
        raise ValueError("no sense")

    log.configure("info", format)  # type: ignore[arg-type]
    try:
        ask({"Authorization": "token " + "abc" * 5})
    except ValueError as error:
        log.listen(Trouble("launch", error))
    told = capsys.readouterr().err
    assert "no sense" in told
    assert "abc" * 5 not in told
