"""The launch event log: one line of BinderHub's schema for each launch, whatever happens to the file."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from pytest import fixture, mark, raises

from members.adapters.events import EventLog
from members.core.facts import RateLimit, StoryEnded
from members.core.model import Visit

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
LAUNCH = StoryEnded(
    "GitHub", "user/repo/HEAD", "a" * 40, "success", Visit(True, "binder.example", "cross-site")
)


@fixture
def complaints() -> list[Exception]:
    return []


@fixture
def log(tmp_path: Path, complaints: list[Exception]) -> EventLog:
    return EventLog(tmp_path / "logs" / "events.jsonl", complaints.append, now=lambda: AT)


def lines(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / "logs" / "events.jsonl").read_text().splitlines()]


def test_a_line_is_binderhubs(log: EventLog, tmp_path: Path) -> None:
    log.listen(LAUNCH)
    (line,) = lines(tmp_path)
    assert list(line.items()) == [
        ("timestamp", "2026-01-02T03:04:05.000678Z"),
        ("schema", "binderhub.jupyter.org/launch"),
        ("version", 6),
        ("provider", "GitHub"),
        ("spec", "user/repo/HEAD"),
        ("ref", "a" * 40),
        ("status", "success"),
        ("build_token", True),
        ("origin", "binder.example"),
        ("request_origin", "cross-site"),
    ]


def test_failures_are_told_and_what_was_cut_off_is_not(log: EventLog, tmp_path: Path) -> None:
    log.listen(StoryEnded("Git", "x", "", "failure", Visit()))
    log.listen(StoryEnded("Git", "x", "", "abandoned", Visit()))
    log.listen(RateLimit(3))
    assert [line["status"] for line in lines(tmp_path)] == ["failure"]


def test_a_file_is_appended_to_and_opened_anew_when_it_was_rotated(
    log: EventLog, tmp_path: Path, complaints: list[Exception]
) -> None:
    path = tmp_path / "logs" / "events.jsonl"
    log.listen(LAUNCH)
    second = EventLog(path, complaints.append)
    second.listen(LAUNCH)
    assert len(lines(tmp_path)) == 2
    path.rename(path.with_suffix(".1"))
    log.listen(LAUNCH)
    assert len(lines(tmp_path)) == 1
    path.unlink()
    log.listen(LAUNCH)
    second.listen(LAUNCH)
    assert len(lines(tmp_path)) == 2
    second.close()
    log.close()
    assert complaints == []


def test_a_folder_that_is_gone_hurts_nobody_and_is_told_once(
    log: EventLog, tmp_path: Path, complaints: list[Exception]
) -> None:
    path = tmp_path / "logs" / "events.jsonl"
    path.unlink()
    path.parent.rmdir()
    for _ in range(3):
        log.listen(LAUNCH)
    assert [type(error) for error in complaints] == [FileNotFoundError]
    path.parent.mkdir()
    log.listen(LAUNCH)
    assert len(lines(tmp_path)) == 1


def test_what_the_schema_does_not_know_is_not_written(
    log: EventLog, tmp_path: Path, complaints: list[Exception]
) -> None:
    log.listen(StoryEnded("SourceForge", "x", "", "success", Visit()))
    assert lines(tmp_path) == []
    assert "SourceForge" in str(complaints[0])


def test_a_full_disk_hurts_nobody(complaints: list[Exception]) -> None:
    log = EventLog(Path("/dev/full"), complaints.append)
    log.listen(LAUNCH)
    assert [type(error) for error in complaints] == [OSError]


@mark.parametrize("path", ["/proc/nosuch/events", "."])
def test_a_file_that_cannot_be_written_is_known_at_once(path: str, complaints: list[Exception]) -> None:
    with raises(OSError):
        EventLog(Path(path), complaints.append)


async def test_lines_of_many_launches_do_not_mix(log: EventLog, tmp_path: Path) -> None:
    await asyncio.gather(*(asyncio.to_thread(log.listen, LAUNCH) for _ in range(50)))
    assert len(lines(tmp_path)) == 50
