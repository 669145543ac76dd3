"""The archive's files: whole lines in their days, whatever crashes, fills up or is set back."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from archive_writer import FEW
from door_stage import until

from federation.adapters import archive_files, archive_folder
from federation.adapters.archive_files import ArchiveFiles
from federation.adapters.archive_folder import LATE, LIST_EVERY, ArchiveFolder
from federation.core.archive import DAY, day_of, minute_of
from federation.core.facts import Fact, LaunchEnded, LoopFailed, Outcome
from federation.core.launchkey import parse_spec
from federation.core.rules import ArchiveRules, Settings

WRITER = Path(__file__).with_name("archive_writer.py")
MIDNIGHT = datetime(2024, 1, 2, tzinfo=UTC).timestamp()
YESTERDAY, TODAY = "events-2024-01-01.jsonl", "events-2024-01-02.jsonl"
ORDINARY = "Us"


def line(at: float, name: str = "x") -> bytes:
    return f'{{"timestamp":"{minute_of(at)}","name":"{name}"}}\n'.encode()


def names(path: Path) -> list[str]:
    """What the lines of the file are called, in their order. All of them can be read."""
    return [json.loads(text)["name"] for text in path.read_text().splitlines()]


def index(folder: Path) -> dict[str, str]:
    lines = (folder / "index.jsonl").read_text().splitlines()
    return {told["name"]: told["count"] for told in map(json.loads, lines)}


@contextmanager
def opened(path: Path, now: float) -> Iterator[ArchiveFolder]:
    folder = ArchiveFolder(path, now)
    yield folder
    folder.close()


def put(folder: ArchiveFolder, at: float, name: str = "x") -> None:
    folder.append(day_of(at), [line(at, name)])


def test_launches_around_midnight_go_to_their_own_days(tmp_path: Path) -> None:
    with opened(tmp_path, MIDNIGHT - 60) as folder:
        put(folder, MIDNIGHT - 1, "a")
        put(folder, MIDNIGHT, "b")
        folder.tend(MIDNIGHT + 1, None, ORDINARY)
        put(folder, MIDNIGHT - 30, "late")
        folder.tend(MIDNIGHT + LATE, None, ORDINARY)
    assert names(tmp_path / YESTERDAY) == ["a", "late"]
    assert names(tmp_path / TODAY) == ["b"]
    assert index(tmp_path) == {YESTERDAY: "2", TODAY: "1"}
    page = (tmp_path / "index.html").read_text()
    assert page.index(TODAY) < page.index(YESTERDAY)


def test_a_closed_day_is_in_order_and_is_not_touched_again(tmp_path: Path) -> None:
    with opened(tmp_path, MIDNIGHT - 7200) as folder:
        for minutes, name in ((-9, "c"), (-60, "a"), (-9, "d"), (-10, "b")):
            put(folder, MIDNIGHT + 60 * minutes, name)
        folder.tend(MIDNIGHT + LATE - 1, None, ORDINARY)
        assert names(tmp_path / YESTERDAY) == ["c", "a", "d", "b"]
        folder.tend(MIDNIGHT + LATE, None, ORDINARY)
        assert names(tmp_path / YESTERDAY) == ["a", "b", "c", "d"]
        closed = (tmp_path / YESTERDAY).stat()
        put(folder, MIDNIGHT + LATE)
        folder.tend(MIDNIGHT + DAY, None, ORDINARY)
    with opened(tmp_path, MIDNIGHT + 2 * DAY) as folder:
        folder.tend(MIDNIGHT + 2 * DAY, None, ORDINARY)
    again = (tmp_path / YESTERDAY).stat()
    assert (again.st_ino, again.st_mtime_ns) == (closed.st_ino, closed.st_mtime_ns)


def test_a_clock_that_is_set_back_loses_nothing(tmp_path: Path) -> None:
    with opened(tmp_path, MIDNIGHT) as folder:
        put(folder, MIDNIGHT - 60, "a")
        put(folder, MIDNIGHT + LATE, "c")
        folder.tend(MIDNIGHT + LATE, None, ORDINARY)
        put(folder, MIDNIGHT - 120, "b")
        folder.tend(MIDNIGHT - 120, None, ORDINARY)
        assert index(tmp_path) == {YESTERDAY: "2", TODAY: "1"}
        folder.tend(MIDNIGHT + 2 * LATE, None, ORDINARY)
    assert names(tmp_path / YESTERDAY) == ["b", "a"] and names(tmp_path / TODAY) == ["c"]


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        (b'{"timestamp":"2024-01-02T', ["a"]),
        (line(MIDNIGHT + 60, "b").rstrip(), ["a", "b"]),
        (b"\x00", ["a"]),
    ],
)
@pytest.mark.parametrize("later", [60, 2 * DAY])
def test_what_a_crash_left_of_a_line_is_taken_off(
    tail: bytes, kept: list[str], later: float, tmp_path: Path
) -> None:
    (tmp_path / TODAY).write_bytes(line(MIDNIGHT, "a") + tail)
    with opened(tmp_path, MIDNIGHT + later) as folder:
        put(folder, MIDNIGHT + later, "next")
        folder.tend(MIDNIGHT + later, None, ORDINARY)
    of_today = [*kept, "next"] if later < DAY else kept
    assert names(tmp_path / TODAY) == of_today
    assert index(tmp_path)[TODAY] == str(len(of_today))


@pytest.mark.parametrize(
    ("listed", "written"),
    [
        pytest.param(200, 300, id="killed before it was listed"),
        pytest.param(400, 300, id="stopped within the day, all listed"),
        pytest.param(2 * DAY, 2 * DAY + 1, id="written to after the list of the closed day"),
    ],
)
def test_a_day_that_a_stop_left_open_is_closed_at_the_next_start(
    listed: float, written: float, tmp_path: Path
) -> None:
    with opened(tmp_path, MIDNIGHT) as folder:
        put(folder, MIDNIGHT + 120, "b")
        put(folder, MIDNIGHT + 60, "a")
        if listed < written:
            folder.list(MIDNIGHT, ORDINARY)
        put(folder, MIDNIGHT + 180, "c")
        if listed > written:
            folder.list(MIDNIGHT, ORDINARY)
    for name, at in (("index.jsonl", listed), (TODAY, written)):
        os.utime(tmp_path / name, (MIDNIGHT + at, MIDNIGHT + at))
    with opened(tmp_path, MIDNIGHT + 3 * DAY) as folder:
        folder.tend(MIDNIGHT + 3 * DAY, None, ORDINARY)
    assert names(tmp_path / TODAY) == ["a", "b", "c"]
    assert index(tmp_path) == {TODAY: "3"}


def test_what_the_index_knows_is_not_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path, MIDNIGHT) as folder:
        put(folder, MIDNIGHT)
        folder.tend(MIDNIGHT + 2 * DAY, None, ORDINARY)
    os.utime(tmp_path / TODAY, (MIDNIGHT + DAY, MIDNIGHT + DAY))
    counted: list[Path] = []
    monkeypatch.setattr(archive_folder, "_lines_in", lambda path: counted.append(path) or 7)
    with opened(tmp_path, MIDNIGHT + 2 * DAY) as folder:
        (tmp_path / "index.jsonl").write_bytes(b"nonsense")
    assert counted == []
    with opened(tmp_path, MIDNIGHT + 2 * DAY) as folder:
        folder.tend(MIDNIGHT + 2 * DAY, None, ORDINARY)
    assert {path.name for path in counted} == {TODAY} and index(tmp_path) == {TODAY: "7"}


def test_files_of_others_are_listed_and_left_as_they_are(tmp_path: Path) -> None:
    """Such as mybinder.org's, whose lines begin with other fields."""
    theirs = b'{"version": 1, "timestamp": "2018-11-03T02"}\n{"version": 1, "timestamp": "2018-11-03T01"}\n'
    (tmp_path / "events-2018-11-03.jsonl").write_bytes(theirs)
    (tmp_path / "events-2018-02-30.jsonl").write_bytes(b"no day")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    with opened(tmp_path, MIDNIGHT) as folder:
        folder.tend(MIDNIGHT, 1, ORDINARY)
    assert not (tmp_path / "events-2018-11-03.jsonl").exists()  # older than what is kept
    (tmp_path / "events-2018-11-03.jsonl").write_bytes(theirs)
    with opened(tmp_path, MIDNIGHT) as folder:
        folder.tend(MIDNIGHT, None, ORDINARY)
    assert (tmp_path / "events-2018-11-03.jsonl").read_bytes() == theirs
    assert index(tmp_path) == {"events-2018-11-03.jsonl": "2"}
    assert (tmp_path / "notes.txt").exists() and (tmp_path / "events-2018-02-30.jsonl").exists()


def test_days_that_are_kept_are_counted_with_today(tmp_path: Path) -> None:
    with opened(tmp_path, MIDNIGHT) as folder:
        for days in range(4):
            put(folder, MIDNIGHT - days * DAY)
        folder.tend(MIDNIGHT + LATE, 2, ORDINARY)
        assert index(tmp_path) == {YESTERDAY: "1", TODAY: "1"}
        assert sorted(path.name for path in tmp_path.glob("events-*")) == [YESTERDAY, TODAY]


def test_the_lists_are_made_now_and_then_and_at_once_for_another_file(tmp_path: Path) -> None:
    with opened(tmp_path, MIDNIGHT) as folder:
        folder.tend(MIDNIGHT, None, ORDINARY)
        assert index(tmp_path) == {}
        put(folder, MIDNIGHT)
        folder.tend(MIDNIGHT + 1, None, ORDINARY)
        assert index(tmp_path) == {TODAY: "1"}
        put(folder, MIDNIGHT)
        folder.tend(MIDNIGHT + 2, None, ORDINARY)
        assert index(tmp_path) == {TODAY: "1"}
        folder.tend(MIDNIGHT + 1 + LIST_EVERY, None, ORDINARY)
        assert index(tmp_path) == {TODAY: "2"}


class SetClock:
    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


class Stage:
    """An archive, its configuration, which a test may change, and the facts it told."""

    def __init__(self, folder: Path | None, **more: Any) -> None:
        self.settings = Settings((), archive=ArchiveRules(None if folder is None else str(folder)), **more)
        self.clock = SetClock(MIDNIGHT + 60)
        self.facts: list[Fact] = []
        self.archive = ArchiveFiles(lambda: self.settings, self.clock, self.facts.append)

    @property
    def faults(self) -> list[str]:
        return [str(fact.error) for fact in self.facts if isinstance(fact, LoopFailed)]

    def end(self, number: int, at: float | None = None) -> None:
        launch = parse_spec(f"gh/user/repo-{number}/HEAD")
        at = self.clock.at if at is None else at
        self.archive.listen(LaunchEnded(launch, number, Outcome.READY, "alpha", 1, "ready", 1.0, at=at))


def numbers(path: Path) -> list[int]:
    if not path.exists():
        return []
    return [int(json.loads(text)["spec"].split("-")[1][:-5]) for text in path.read_text().splitlines()]


async def test_launches_become_lines_and_lists_are_current_at_the_end(tmp_path: Path) -> None:
    stage = Stage(None, state_folder=str(tmp_path), title="Ours & yours")
    async with stage.archive:
        stage.end(1)
        stage.end(2, at=MIDNIGHT - 1)
        await until(lambda: numbers(tmp_path / "archive" / TODAY) == [1])
        stage.end(3)
    folder = tmp_path / "archive"
    assert numbers(folder / TODAY) == [1, 3] and numbers(folder / YESTERDAY) == [2]
    assert index(folder) == {YESTERDAY: "1", TODAY: "2"}
    assert "Ours &amp; yours" in (folder / "index.html").read_text()
    assert {oct(path.stat().st_mode & 0o444) for path in folder.iterdir()} == {"0o444"}
    assert stage.facts == []


async def test_without_a_launch_no_folder_is_made(tmp_path: Path) -> None:
    async with Stage(tmp_path / "archive").archive:
        pass
    assert list(tmp_path.iterdir()) == []


async def test_no_folder_writes_nothing_and_another_one_counts_at_once(tmp_path: Path) -> None:
    stage = Stage(None)
    async with stage.archive:
        stage.end(1)
        for name in ("a", "b"):
            stage.settings = Settings((), archive=ArchiveRules(str(tmp_path / name)))
            stage.end(2)
            await until(lambda name=name: numbers(tmp_path / name / TODAY) == [2])
        await until(lambda: index(tmp_path / "a") == {TODAY: "1"})
        stage.settings = Settings(())
        stage.end(3)
    assert numbers(tmp_path / "b" / TODAY) == [2] and stage.facts == []


async def test_a_folder_that_cannot_be_is_told_once_and_its_coming_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blocked").write_text("a file")
    stage = Stage(tmp_path / "blocked" / "archive")
    async with stage.archive:
        for number in (1, 2, 3):
            stage.end(number)
            await until(lambda: not stage.archive._thread.waiting and stage.faults)
        (tmp_path / "blocked").unlink()
        stage.end(4)
        await until(lambda: numbers(tmp_path / "blocked" / "archive" / TODAY) == [1, 2, 3, 4])
    assert len(stage.faults) == 1 and "blocked" in stage.faults[0]


async def test_a_folder_that_is_removed_is_made_anew(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "archive")
    async with stage.archive:
        stage.end(1)
        await until(lambda: numbers(tmp_path / "archive" / TODAY) == [1])
        (tmp_path / "archive").rename(tmp_path / "old")
        stage.end(2)
        await until(lambda: stage.faults)
        stage.end(3)
        await until(lambda: numbers(tmp_path / "archive" / TODAY) == [2, 3])


async def test_more_than_can_wait_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_files, "MOST_WAITING", 3)
    (tmp_path / "blocked").write_text("a file")
    stage = Stage(tmp_path / "blocked" / "archive")
    async with stage.archive:
        for number in range(5):
            stage.end(number)
            await asyncio.sleep(0)
        await until(lambda: len(stage.faults) == 2)
        (tmp_path / "blocked").unlink()
    assert numbers(tmp_path / "blocked" / "archive" / TODAY) == [0, 1, 2]
    assert any("further ones are left out" in fault for fault in stage.faults)


def written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("events-*")) if folder.exists() else 0


async def happened(met: Callable[[], object]) -> None:
    await until(met, 30)


async def test_a_kill_in_the_middle_leaves_lines_that_the_next_start_makes_whole(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    process = subprocess.Popen([sys.executable, str(WRITER), str(folder), "endless"])
    try:
        await happened(lambda: written(folder) > 200_000)
    finally:
        process.kill()
        process.wait(30)
    (path, *_) = sorted(folder.glob("events-*"))
    with path.open("ab") as file:
        file.write(b'{"timestamp":"torn')
    before = [json.loads(text) for text in path.read_bytes().split(b"\n")[:-1]]
    stage = Stage(folder)
    stage.clock.at = datetime.fromisoformat(before[-1]["timestamp"]).timestamp() + 30
    async with stage.archive:
        stage.end(7)
    found = numbers(path)
    assert found == [*range(len(before)), 7] and len(before) > 100
    assert index(folder)[path.name] == str(len(found))
    assert stage.facts == []


async def test_a_full_disk_is_told_once_and_what_waits_is_written_when_there_is_room(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WRITER), str(tmp_path), "room", stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    told = json.loads(output)
    assert len(told["faults"]) == 1 and "were written" in told["faults"][0]
    found = [number for path in sorted(tmp_path.glob("events-*")) for number in numbers(path)]
    assert found == list(range(FEW + 1))
