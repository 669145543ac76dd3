"""The console where nothing draws charts, and the files that do."""

from __future__ import annotations

from pathlib import Path

import pytest
from console_stage import OPERATOR, PEOPLE
from door_stage import Door

from federation.web import assets, operator
from federation.web.assets import CHARTS, Assets, charts
from federation.web.identity import COOKIE, SESSIONS


def test_charts_are_there_whole_or_not_at_all(tmp_path: Path) -> None:
    assert charts(tmp_path / "nowhere") == {}
    (tmp_path / CHARTS["uplot.js"]).write_bytes(b"var uPlot")
    assert charts(tmp_path) == {}
    (tmp_path / CHARTS["uplot.css"]).write_bytes(b".uplot {}")
    told = Assets(charts(tmp_path))
    assert told.files["uplot.js"].type == "text/javascript"
    assert told.url("uplot.css").startswith("/static/uplot.css?v=")


async def test_without_them_the_console_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Assets({name: asset.body for name, asset in assets.assets().files.items() if name not in CHARTS})
    monkeypatch.setattr(operator, "assets", lambda: own)
    async with Door(operators=PEOPLE) as door:
        key = door.runner.app[SESSIONS].begin(OPERATOR, door.door.clock.now())
        async with door.ask("/operator", headers={"Cookie": f"{COOKIE}={key}"}) as answer:
            page = await answer.text()
    assert "make charts" in page
    assert "uplot" not in page
    assert 'id="chart"' not in page
