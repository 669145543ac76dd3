"""Incidents in a terminal: a table, and the report of one."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console, RenderableType

from federation.follow.incidents import incident_path, incidents_table, report_text


def printed(shown: RenderableType) -> str:
    out = StringIO()
    Console(file=out, width=140, highlight=False).print(shown)
    return out.getvalue()


def test_incidents_are_a_table() -> None:
    one = {
        "id": "2026-11-26-01",
        "title": "alpha out of service",
        "cause": "git_host",
        "began": 1_000_000_000,
        "closed": 1_000_000_600.5,
        "launches": {"affected": 7, "failed": 2},
    }
    goes_on = {**one, "id": "2026-11-26-02", "closed": None}
    text = printed(incidents_table({"incidents": [goes_on, one], "next": "2026-11-26-01"}))
    first, last = (
        next(line for line in text.splitlines() if id in line) for id in (goes_on["id"], one["id"])
    )
    assert "goes on" in first and "10 min" in last and "There are more." in text
    for cell in ("alpha out of service", "git host", "2001-09-09 01:46", " 7 ", " 2"):
        assert cell in last
    assert "No incident is remembered." in printed(incidents_table({"incidents": []}))


@pytest.mark.parametrize(
    "odd", [None, 3, [3], [{"began": "x", "closed": 1e300}], [{"began": 1e300, "launches": 3}]]
)
def test_odd_answers_make_empty_cells(odd: object) -> None:
    printed(incidents_table({"incidents": odd}))
    report_text({"markdown": odd})


def test_no_answer_steers_the_terminal() -> None:
    nasty = "\x1b[2J\x1b]0;title\x07 done \x9b"
    text = printed(incidents_table({"incidents": [{"title": nasty}]})) + report_text({"markdown": nasty})
    assert "done" in text and not {"\x1b", "\x07", "\x9b"} & set(text)


def test_an_id_cannot_lead_elsewhere() -> None:
    assert incident_path("../members?x") == "/federation/v1/incidents/..%2Fmembers%3Fx"
