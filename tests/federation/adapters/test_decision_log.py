"""The file of decisions: whole lines, whatever the disk does, and never at a launch's cost."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from door_stage import until

from federation.adapters import decision_log, line_writer
from federation.adapters.decision_log import MOST_WAITING, DecisionLog
from federation.core.decisions import Record
from federation.core.facts import Fact, LaunchEnded, LoopFailed, Outcome
from federation.core.launchkey import parse_spec

LAUNCH = parse_spec("gh/u/r/HEAD")


def record(id: int) -> Record:
    return Record(id, LAUNCH, 5.0, (LaunchEnded(LAUNCH, id, Outcome.READY, "alpha", 1, "ready", 1.0),))


class Stage:
    """A log with its file's name, which a test may change, and the facts it told."""

    def __init__(self, path: Path | str | None) -> None:
        self.path = path
        self.facts: list[Fact] = []
        self.log = DecisionLog(lambda: None if self.path is None else str(self.path), self.facts.append)

    @property
    def faults(self) -> list[str]:
        return [str(fact.error) for fact in self.facts if isinstance(fact, LoopFailed)]


def ids(path: Path) -> list[int]:
    """The launches of the lines that can be read."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line)["id"])
        except ValueError:
            found.append(-1)
    return found


async def test_each_ended_launch_is_a_line(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "decisions.jsonl")
    async with stage.log as log:
        for id in (1, 2, 3):
            log.write(record(id))
    assert ids(tmp_path / "decisions.jsonl") == [1, 2, 3]
    told = json.loads((tmp_path / "decisions.jsonl").read_text().splitlines()[0])
    assert (told["spec"], told["outcome"], told["member"]) == ("u/r/HEAD", "ready", "alpha")
    assert stage.facts == []


async def test_no_file_writes_nothing_and_a_new_name_counts_at_once(tmp_path: Path) -> None:
    stage = Stage(None)
    async with stage.log as log:
        log.write(record(1))
        stage.path = tmp_path / "a"
        log.write(record(2))
        stage.path = tmp_path / "b"
        log.write(record(3))
    assert ids(tmp_path / "a") == [2] and ids(tmp_path / "b") == [3]
    stage.log.write(record(4))  # after the end: nothing, and no fault
    assert ids(tmp_path / "b") == [3]


async def test_a_torn_last_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text('{"id": 1}\n{"id": 2, "sp')
    async with Stage(path).log as log:
        log.write(record(3))
        log.write(record(4))
    assert ids(path) == [1, -1, 3, 4]
    async with Stage(path).log as log:
        log.write(record(5))
    assert ids(path) == [1, -1, 3, 4, 5]


async def test_a_file_that_was_rotated_away_is_begun_anew(tmp_path: Path) -> None:
    path, old = tmp_path / "decisions.jsonl", tmp_path / "decisions.jsonl.1"
    async with Stage(path).log as log:
        log.write(record(1))
        await until(lambda: ids(path) == [1])
        path.rename(old)
        log.write(record(2))
        await until(lambda: ids(path) == [2])
        path.unlink()
        log.write(record(3))
        await until(lambda: ids(path) == [3])
    assert ids(old) == [1]


async def test_a_missing_folder_is_told_once_and_its_coming_heals(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "later" / "decisions.jsonl")
    path = tmp_path / "later" / "decisions.jsonl"
    async with stage.log as log:
        for id in (1, 2, 3):
            log.write(record(id))
        await until(lambda: not log._thread.waiting and stage.faults)
        path.parent.mkdir()
        log.write(record(4))
        await until(lambda: ids(path) == [4])
        assert len(stage.faults) == 1 and "later" in stage.faults[0]
        path.unlink()
        path.parent.rmdir()
        log.write(record(5))
        await until(lambda: len(stage.faults) == 2)


async def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    stage = Stage("/dev/full")
    async with stage.log as log:
        for id in (1, 2, 3):
            log.write(record(id))
        await until(lambda: stage.faults)
        stage.path = tmp_path / "decisions.jsonl"
        log.write(record(4))
        await until(lambda: ids(tmp_path / "decisions.jsonl") == [4])
    assert len(stage.faults) == 1 and "No space" in stage.faults[0]


async def test_half_a_line_is_told_and_the_next_begins_on_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a disk does that has a little room left."""
    path, whole = tmp_path / "decisions.jsonl", os.write
    stage = Stage(path)
    async with stage.log as log:
        log.write(record(1))
        await until(lambda: ids(path) == [1])
        monkeypatch.setattr(line_writer.os, "write", lambda file, data: whole(file, data[:10]))
        log.write(record(2))
        await until(lambda: stage.faults)
        monkeypatch.setattr(line_writer.os, "write", whole)
        log.write(record(3))
    assert ids(path) == [1, -1, 3]


async def test_a_disk_that_hangs_delays_no_launch_and_not_the_end_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()

    def stuck(record: Record) -> dict[str, Any]:
        hangs.wait(30)
        return {"id": record.id}

    monkeypatch.setattr(decision_log, "summary", stuck)
    monkeypatch.setattr(line_writer, "CLOSING", 0.2)
    stage = Stage(tmp_path / "decisions.jsonl")
    begun = time.monotonic()
    async with stage.log as log:
        for id in range(MOST_WAITING + 500):
            log.write(record(id))
        assert len(stage.faults) == 1 and "further ones are left out" in stage.faults[0]
    assert time.monotonic() - begun < 10
    hangs.set()
