"""Reads boards as Grafana would: which panels there are, and what they ask. Draws nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser

FOLDER = Path(__file__).resolve().parents[2] / "dashboards" / "grafana"


@dataclass(frozen=True)
class Question:
    """One query of a panel, or of a mark that goes through all panels."""

    board: str
    panel: str
    ref: str
    expr: str

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.ref}"

    def filled(self, **variables: str) -> str:
        """The query with Grafana's variables in place, the longest name first."""
        found = self.expr
        for name in sorted(variables, key=len, reverse=True):
            found = found.replace(f"${name}", variables[name])
        return found


def boards() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """All but the headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def questions() -> list[Question]:
    return [question for board in boards() for question in asked_by(board)]


def asked_by(board: dict[str, Any]) -> Iterator[Question]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield Question(board["title"], panel["title"], target["refId"], target["expr"])
    for mark in board["annotations"]["list"]:
        yield Question(board["title"], mark["name"], "", mark["expr"])


def metrics(expr: object) -> set[str]:
    """The metrics that a parsed query names."""
    found: set[str] = set()
    if isinstance(expr, promql_parser.VectorSelector):
        assert expr.name, "a query that names no metric reads everything"
        found.add(expr.name)
    for part in ("expr", "lhs", "rhs", "vector_selector", "param"):
        if (below := getattr(expr, part, None)) is not None:
            found |= metrics(below)
    for argument in getattr(expr, "args", None) or ():
        found |= metrics(argument)
    return found
