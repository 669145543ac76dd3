"""Draws a board's figures as a picture, for docs: `python -m dashboards.picture PROMETHEUS UID PNG [MINUTES]`.

Every query is asked of a real Prometheus. The picture is not Grafana's, and does not look like it: it knows lines,
figures, states and tables, and of a panel's looks only what these need.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

FOLDER = Path(__file__).with_name("grafana")
COLUMN, LINE, GAP = 52, 30, 6  # pixels of Grafana's grid
COLOURS = (
    "#4878a8",
    "#d9822b",
    "#3d9a50",
    "#c23b3b",
    "#8064a2",
    "#7f6a55",
    "#d17ab0",
    "#667788",
    "#a0a030",
    "#30a0a8",
)
NAMED = {"green": "#3d9a50", "light-green": "#8bc48a", "yellow": "#d8b400", "orange": "#d9822b", "red": "#c23b3b",
         "blue": "#4878a8", "purple": "#8064a2", "text": "#333"}  # fmt: skip
STYLE = """
body { font: 12px sans-serif; margin: 12px; color: #333; background: #fff }
.board { position: relative }
.panel { position: absolute; border: 1px solid #ccc; box-sizing: border-box; padding: 4px 6px }
h1 { font-size: 17px } h2 { font-size: 13px; margin: 0; position: absolute } b { font-size: 12px }
.large { font-size: 22px; margin-right: 10px } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: 2px 6px; border-bottom: 1px solid #eee; font-size: 11px }
.legend { font-size: 10px; line-height: 12px } .none { color: #888 }
"""
Series = tuple[str, list[tuple[float, float]], bool]
"""Its name, its points, and whether it is dashed."""


class Source:
    """A Prometheus, and the time that is drawn, in seconds since the epoch."""

    def __init__(self, url: str, minutes: float) -> None:
        self._url = url
        self.end = time.time()
        self.begin = self.end - minutes * 60
        self._variables = {"__rate_interval": "30s", "__range": f"{minutes * 60:.0f}s", "member": ".+"}

    def series(self, panel: Mapping[str, Any]) -> list[Series]:
        """What the panel's queries said over the whole time."""
        found: list[Series] = []
        for target in panel["targets"]:
            dashed = any(
                each["matcher"] == {"id": "byFrameRefID", "options": target["refId"]}
                for each in panel["fieldConfig"]["overrides"]
            )
            for row in self._asked(target["expr"]):
                points = [(float(at), float(value)) for at, value in row["values"]]
                found.append((_named(target["legendFormat"], row["metric"]), points, dashed))
        return found

    def rows(self, panel: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """A table's cells by their row and column."""
        found: dict[str, dict[str, float]] = {}
        for target in panel["targets"]:
            for row in self._asked(target["expr"]):
                last = row["values"][-1]
                if float(last[0]) > self.end - 10:
                    name = ", ".join(row["metric"].values())
                    found.setdefault(name, {})[target["legendFormat"]] = float(last[1])
        return found

    def _asked(self, expr: str) -> list[Any]:
        for name in sorted(self._variables, key=len, reverse=True):
            expr = expr.replace(f"${name}", self._variables[name])
        question = {
            "query": expr,
            "start": self.begin,
            "end": self.end,
            "step": (self.end - self.begin) / 150,
        }
        with urllib.request.urlopen(
            f"{self._url}/api/v1/query_range?{urllib.parse.urlencode(question)}", timeout=20
        ) as answer:
            rows: list[Any] = json.load(answer)["data"]["result"]
        return rows


def page(board: Mapping[str, Any], source: Source) -> str:
    """The board as HTML."""
    panels = "".join(_panel(panel, source) for panel in board["panels"])
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * LINE
    return (
        f"<meta charset=utf-8><style>{STYLE}</style><h1>{escape(board['title'])}</h1>"
        f'<div class=board style="height:{height}px;width:{24 * COLUMN}px">{panels}</div>'
    )


def _panel(panel: Mapping[str, Any], source: Source) -> str:
    at = panel["gridPos"]
    place = f"left:{at['x'] * COLUMN}px;top:{at['y'] * LINE}px"
    if panel["type"] == "row":
        return f'<h2 style="{place}">{escape(panel["title"])}</h2>'
    size = at["w"] * COLUMN - GAP, at["h"] * LINE - GAP
    draw = {"stat": _figures, "table": _table, "state-timeline": _states}.get(panel["type"], _lines)
    body = (
        draw(panel, source, size)
        or f"<p class=none>{escape(panel['fieldConfig']['defaults']['noValue'])}</p>"
    )
    return (
        f'<div class=panel style="{place};width:{size[0]}px;height:{size[1]}px">'
        f"<b>{escape(panel['title'])}</b>{body}</div>"
    )


def _figures(panel: Mapping[str, Any], source: Source, size: tuple[int, int]) -> str:
    found = [(name, points[-1]) for name, points, _ in source.series(panel)]
    found = [(name, point) for name, point in found if point[0] > source.end - 10]
    defaults = panel["fieldConfig"]["defaults"]
    words = _words(defaults)
    several = panel["options"]["textMode"] == "value_and_name"
    text = ""
    for name, (_, value) in found:
        word, colour = words.get(value) or (_said(value, defaults["unit"]), _step(value, defaults))
        text += f"<div>{escape(name) if several else ''} "
        text += f'<span class=large style="color:{colour}">{escape(word)}</span></div>'
    return text


def _table(panel: Mapping[str, Any], source: Source, size: tuple[int, int]) -> str:
    columns = [target["legendFormat"] for target in panel["targets"]]
    looks = {each["matcher"]["options"]: _properties(each) for each in panel["fieldConfig"]["overrides"]}
    rows = source.rows(panel)
    if not rows:
        return ""
    text = "<tr><th>" + "".join(f"<th>{escape(column)}" for column in columns)
    for name, cells in rows.items():
        text += f"<tr><td><b>{escape(name)}</b>"
        for column in columns:
            look = looks[column]
            value = cells.get(column)
            word = "" if value is None else _said(value, look["unit"])
            word, colour = _words(look).get(value, (word, "#333"))
            text += f'<td style="color:{colour}">{escape(word)}'
    return f"<table>{text}</table>"


def _states(panel: Mapping[str, Any], source: Source, size: tuple[int, int]) -> str:
    found = source.series(panel)
    words = _words(panel["fieldConfig"]["defaults"])
    left, high = 100, max(12, min(30, (size[1] - 60) // max(1, len(found))))
    text = ""
    for number, (name, points, _) in enumerate(found):
        y = number * (high + 4)
        text += f"<text x=0 y={y + high - 4} font-size=11>{escape(name[:16])}</text>"
        for (at, value), (until, _) in zip(points, [*points[1:], (source.end, 0.0)], strict=True):
            x, x2 = (
                left + (t - source.begin) / (source.end - source.begin) * (size[0] - left - 14)
                for t in (at, until)
            )
            text += f'<rect x={x:.1f} y={y} width={x2 - x + 0.5:.1f} height={high} fill="{words[value][1]}"/>'
    keys = " ".join(
        f'<span style="color:{colour}">■ {escape(word)}</span>' for word, colour in words.values()
    )
    return f"<svg width={size[0] - 12} height={size[1] - 50}>{text}</svg><div class=legend>{keys}</div>"


def _lines(panel: Mapping[str, Any], source: Source, size: tuple[int, int]) -> str:
    found = [each for each in source.series(panel) if each[1]]
    if not found:
        return ""
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    unit = panel["fieldConfig"]["defaults"]["unit"]
    drawn = _stacked(found) if stacked else found
    real = [value for _, points, _ in drawn for _, value in points if math.isfinite(value)]
    top = max(real, default=0) * 1.05 or 1.0
    width, height, left = size[0] - 14, size[1] - 38 - 12 * ((len(found) + 3) // 4), 62
    text = ""
    for share in (0.0, 0.5, 1.0):
        y = height - 4 - share * (height - 14)
        text += f'<line x1={left} x2={width} y1={y} y2={y} stroke="#ddd"/><text x=0 y={y + 3} font-size=10>'
        text += f"{escape(_said(top * share, unit))}</text>"
    names = list(dict.fromkeys(name.removesuffix(" expected").removesuffix(" quota") for name, _, _ in drawn))
    for name, points, dashed in drawn:
        colour = _colour(names, name)
        path = " ".join(
            f"{left + (at - source.begin) / (source.end - source.begin) * (width - left):.1f},"
            f"{height - 4 - value / top * (height - 14):.1f}"
            for at, value in points
            if math.isfinite(value)
        )
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        text += f'<polyline points="{path}" fill=none stroke="{colour}" stroke-width=1.5{dash} />'
    keys = " ".join(
        f'<span style="color:{_colour(names, name)}">{"╌" if dashed else "━"} {escape(name)}</span>'
        for name, _, dashed in drawn
    )
    return f"<svg width={width} height={height}>{text}</svg><div class=legend>{keys}</div>"


def _stacked(found: Sequence[Series]) -> list[Series]:
    """Each upon those before it."""
    below: dict[float, float] = {}
    result: list[Series] = []
    for name, points, dashed in found:
        for at, value in points:
            below[at] = below.get(at, 0.0) + (value if math.isfinite(value) else 0.0)
        result.append((name, [(at, below[at]) for at, _ in points], dashed))
    return result


def _colour(names: Sequence[str], name: str) -> str:
    return COLOURS[names.index(name.removesuffix(" expected").removesuffix(" quota")) % len(COLOURS)]


def _named(legend: str, labels: Mapping[str, str]) -> str:
    for label, value in labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    return legend


def _said(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.1f} %"
    if unit == "s":
        return f"{value:.2f} s" if value < 60 else f"{value / 60:.1f} min"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    return f"{value:.3g}" + (" / min" if unit == "cpm" else "")


def _words(look: Mapping[str, Any]) -> dict[float | None, tuple[str, str]]:
    return {
        float(figure): (said["text"], NAMED[said["color"]])
        for mapping in look.get("mappings") or ()
        for figure, said in mapping["options"].items()
    }


def _step(value: float, look: Mapping[str, Any]) -> str:
    reached = [
        step for step in look["thresholds"]["steps"] if step["value"] is None or value >= step["value"]
    ]
    return NAMED[reached[-1]["color"]]


def _properties(override: Mapping[str, Any]) -> dict[str, Any]:
    return {each["id"]: each["value"] for each in override["properties"]}


async def main(url: str, uid: str, png: str, minutes: str = "30") -> None:
    """Asks, draws and writes the picture."""
    board = json.loads((FOLDER / f"{uid}.json").read_text())
    html = page(board, Source(url, float(minutes)))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = await browser.new_page(viewport={"width": 24 * COLUMN + 30, "height": 600})
        await tab.set_content(html)
        await tab.screenshot(path=png, full_page=True)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
