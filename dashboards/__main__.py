"""Writes every board to `grafana/`, where Grafana's provisioning finds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dashboards import capacity, costs, launches, member, overview, router, slo
from dashboards.board import text_of

FOLDER = Path(__file__).with_name("grafana")
BOARDS = (overview, member, launches, capacity, router, slo, costs)


def texts() -> Mapping[str, str]:
    """The text of each board by its file's name."""
    made = (each.dashboard() for each in BOARDS)
    return {f"{one.uid}.json": text_of(one) for one in made}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    found = texts()
    for file in FOLDER.glob("*.json"):
        if file.name not in found:
            file.unlink()
    for name, text in found.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
