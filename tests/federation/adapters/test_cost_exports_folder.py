from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.adapters.cloud_costs import CloudCostsFile
from federation.adapters.cost_exports import ExportFolders, moment
from federation.core.cost_exports import Period, entries

DAY = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
CSV = "Start Time,End Time,Cost\n2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,1.5\n"
JSON = [
    {
        "cost": {"amount": "2.25", "currency": "USD"},
        "start_time": "2026-11-01T00:00:00+00:00",
        "end_time": "2026-11-02T00:00:00+00:00",
    }
]


@pytest.mark.parametrize(
    "told",
    [
        "2026-11-01",
        "2026-11-01T00:00:00Z",
        "2026-11-01 00:00:00 UTC",
        "2026-10-31T17:00:00-07:00",
        " 2026-11-01T00:00:00.000+00:00",
    ],
)
def test_times_are_read_as_exports_write_them(told: str) -> None:
    assert moment(told) == DAY


async def test_all_exports_of_a_folder_are_summed_and_a_copy_counts_once(tmp_path: Path) -> None:
    (tmp_path / "report-2026-11-01.csv").write_text(CSV)
    (tmp_path / "report-2026-11-01 (1).csv").write_text(CSV)
    (tmp_path / "report-2026-11-02.csv").write_text(CSV.replace("1.5", "0.25"))  # a late line of the same day
    (tmp_path / "billing-2026-11-01.json").write_text(json.dumps(JSON))
    (tmp_path / "notes.txt").write_text("no export")
    exported = await ExportFolders().read(str(tmp_path))
    assert exported.periods == (Period(DAY, DAY + 86400, 4.0),)
    assert exported.problems == ()


async def test_a_bad_file_is_told_and_counts_as_it_last_did(tmp_path: Path) -> None:
    folders, file = ExportFolders(), tmp_path / "report-a.csv"
    file.write_text(CSV)
    (tmp_path / "billing-b.json").write_text("[{]")
    first = await folders.read(str(tmp_path))
    assert [one.cost for one in first.periods] == [1.5]
    (problem,) = first.problems
    assert problem.startswith(f"{tmp_path}/billing-b.json: line 1: JSON: ") and "expected a list" in problem
    file.write_text(f"{CSV}2026-11-02,2026-11-03,lots\n")
    (tmp_path / "billing-b.json").write_text(json.dumps(JSON))
    second = await folders.read(str(tmp_path))
    assert [one.cost for one in second.periods] == [1.5 + 2.25]
    assert second.problems == (f"{file}: line 3: Cost: 'lots', expected a number",)
    file.write_text(CSV.replace("1.5", "3"))
    third = await folders.read(str(tmp_path))
    assert ([one.cost for one in third.periods], third.problems) == ([5.25], ())
    file.unlink()
    assert [one.cost for one in (await folders.read(str(tmp_path))).periods] == [2.25]


async def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    missing = await ExportFolders().read(str(tmp_path / "nowhere"))
    assert missing.periods == () and "nowhere" in missing.problems[0]
    (tmp_path / "report-a.csv").write_bytes(b"Start Time,End Time,Cost\n\xff,2,3\n")
    (problem,) = (await ExportFolders().read(str(tmp_path))).problems
    assert "line 2: text" in problem and "UTF-8" in problem


async def test_the_published_list_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "archive" / "cloud-costs.jsonl"
    for cost in (1.0, 2.0):
        await CloudCostsFile().publish(str(file), list(entries([Period(DAY, DAY + 86400, cost)])))
    (line,) = file.read_text().splitlines()
    assert json.loads(line) == {
        "version": 1,
        "start_time": "2026-11-01T00:00:00+00:00",
        "end_time": "2026-11-02T00:00:00+00:00",
        "cost": 2.0,
    }
    assert list(file.parent.iterdir()) == [file]
