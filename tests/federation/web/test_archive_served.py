"""The archive as a front door publishes it, from the launches to the report that reads it over HTTP."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from door_stage import FAST, SPEC, Door, StockMember, event, plays, until
from jupyter_events.schema import EventSchema
from typer.testing import CliRunner, Result

from federation.cli import app
from federation.core.archive import file_of
from federation.core.model import Member
from federation.core.rules import ArchiveRules, LaunchRules, Mode
from federation.web import archive
from members.adapters.events import SCHEMA

Pair = tuple[StockMember, StockMember]
PUBLIC = "https://mybinder.example.org"
PAGE = {"Accept": "text/html"}
BROKEN = plays(event(phase="building", message="Step 1\n"))  # and then the stream ends
NO_BUILD = plays(event(phase="failed", message="Your Dockerfile is wrong\n"))
DAYS = ("2024-01-01", "2024-01-02")


def lines(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.glob("events-*.jsonl"))
    return [json.loads(text) for path in paths for text in path.read_text().splitlines()]


@asynccontextmanager
async def archived(folder: Path, *members: Member, **more: Any) -> AsyncIterator[Door]:
    """A front door with its archive there."""
    rules = ArchiveRules(str(folder))
    async with Door(*members, archive=rules, public_url=PUBLIC, **more) as door:
        await until(lambda: (folder / "index.jsonl").exists())
        yield door


async def report(door: Door, *arguments: str) -> Result:
    """The command, beside this loop as it has its own."""
    command = ["report", "--front-door", str(door.url), *arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, command, env={"COLUMNS": "100"})


async def test_launches_become_lines_and_the_report_tells_of_them(members: Pair, tmp_path: Path) -> None:
    alpha, beta = members
    async with archived(tmp_path, alpha.configured(1e9), beta.configured(1e-9)) as door:
        await door.launch(f"{SPEC}?urlpath=lab")
        await until(lambda: (tmp_path / "index.jsonl").read_text())
        alpha.play = BROKEN
        await door.launch()
        alpha.play = NO_BUILD
        await door.launch("/build/git/https%3A%2F%2Fme%3AS3CRET%40git.example.org%2Fr/main")
        await until(lambda: len(lines(tmp_path)) == 3)
        first, second, third = lines(tmp_path)
        told = await report(door)
        rows = json.loads((await report(door, "--by", "repository", "--json")).stdout)["rows"]
        by_member = list(csv.DictReader((await report(door, "--csv")).stdout.splitlines()))

    assert (first["status"], first["member"], first["attempts"]) == ("success", "alpha", 1)
    assert (first["provider"], first["spec"]) == ("GitHub", "binder-examples/requirements/HEAD")
    assert first["origin"] == "mybinder.example.org" and first["build_token"] is False
    assert first["milliseconds"].keys() >= {"launching"}
    assert (second["status"], second["member"], second["attempts"]) == ("success", "beta", 2)
    assert (third["status"], third["outcome"], third["cause"]) == ("failure", "failed", "repository")
    assert third["spec"] == "https%3A%2F%2Fgit.example.org%2Fr/main"
    published = json.dumps([first, second, third])
    assert "S3CRET" not in published and "urlpath" not in published and "127.0.0.1" not in published
    schema = EventSchema(SCHEMA)
    for line in (first, second, third):
        schema.validate({name: line[name] for name in SCHEMA["properties"] if name in line})

    assert told.exit_code == 0, told.output
    assert "alpha" in told.stdout and "beta" in told.stdout and "100.0 %" in told.stdout
    assert [(row["name"], row["launches"], row["success"]) for row in rows] == [
        ("GitHub binder-examples/requirements", 2, 1.0),
        ("Git https://git.example.org/r", 1, None),
    ]
    assert [(row["member"], row["launches"], row["good"]) for row in by_member] == [
        ("alpha", "2", "1"),
        ("beta", "1", "1"),
    ]
    assert float(by_member[0]["ready_p50"]) > 0


async def test_launches_that_are_handed_over_have_no_status(members: Pair, tmp_path: Path) -> None:
    rules = LaunchRules(mode=Mode.REDIRECT)
    async with archived(tmp_path, members[0].configured(), launch=rules) as door:
        async with door.ask(f"{SPEC}?build_token=x"):
            pass
        await until(lambda: lines(tmp_path))
    (line,) = lines(tmp_path)
    assert "status" not in line
    assert (line["outcome"], line["member"], line["build_token"]) == ("redirected", "alpha", True)


async def test_a_launch_that_no_member_takes_is_a_failure_without_a_member(tmp_path: Path) -> None:
    dead = Member("dead", "http://127.0.0.1:1", 1.0)
    async with archived(tmp_path, dead, launch=replace(FAST, mode=Mode.REDIRECT)) as door:
        await door.launch()
        await until(lambda: (tmp_path / "index.jsonl").read_text())
        told = await report(door, "--by", "cause")
    (line,) = lines(tmp_path)
    assert (line["status"], line["cause"], line["member"]) == ("failure", "no_member", None)
    assert "no_member" in told.stdout and "0.0 %" in told.stdout


@pytest.fixture
async def old(tmp_path: Path) -> AsyncIterator[Door]:
    """A front door with two days in its archive, the second of which is being written to."""
    theirs = {
        "schema": "binderhub.jupyter.org/launch",
        "version": 4,
        "provider": "GitHub",
        "status": "success",
    }
    for day in DAYS:
        told = [
            {"timestamp": f"{day}T0{hour}:00:00+00:00", **theirs, "spec": f"u/r{hour}/HEAD"}
            for hour in range(5)
        ]
        (tmp_path / file_of(day)).write_text("".join(json.dumps(line) + "\n" for line in told))
    async with archived(tmp_path) as door:
        with (tmp_path / file_of(DAYS[1])).open("ab") as file:
            file.write(b'{"timestamp":"2024-01-02T06')
        yield door


async def test_files_are_sent_whole_to_the_last_line_and_to_every_site(old: Door, tmp_path: Path) -> None:
    whole = (tmp_path / file_of(DAYS[1])).read_bytes()
    lines_only = whole[: whole.rfind(b"\n") + 1]
    assert whole != lines_only
    path = f"/archive/{file_of(DAYS[1])}"
    async with old.ask(path) as answer:
        assert await answer.read() == lines_only
        assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    async with old.session.head(f"{old.url}{path}") as answer:
        assert (answer.status, answer.content_length) == (200, len(lines_only))
        assert await answer.read() == b""
    for method in ("POST", "PUT", "DELETE"):
        async with old.session.request(method, f"{old.url}{path}") as answer:
            assert answer.status == 405
    async with old.ask("/archive/index.jsonl") as answer:
        told = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert told == [{"name": file_of(day), "date": day, "count": "5"} for day in DAYS]


async def test_a_part_is_sent_and_what_a_client_has_is_not_sent_again(old: Door, tmp_path: Path) -> None:
    path, data = f"/archive/{file_of(DAYS[0])}", (tmp_path / file_of(DAYS[0])).read_bytes()
    size = len(data)
    async with old.ask(path) as answer:
        etag = answer.headers["ETag"]
    parts = {
        "bytes=5-9": (data[5:10], f"bytes 5-9/{size}"),
        "bytes=-7": (data[-7:], f"bytes {size - 7}-{size - 1}/{size}"),
        f"bytes={size - 3}-{10 * size}": (data[-3:], f"bytes {size - 3}-{size - 1}/{size}"),
    }
    for asked, expected in parts.items():
        async with old.ask(path, headers={"Range": asked, "If-Range": etag}) as answer:
            assert answer.status == 206
            assert (await answer.read(), answer.headers["Content-Range"]) == expected
    for asked in ("bytes=0-", "bytes=1-2,4-5", "lines=1-2"):
        async with old.ask(path, headers={"Range": asked}) as answer:
            assert (answer.status, await answer.read()) == (200, data)
    async with old.ask(path, headers={"Range": "bytes=5-9", "If-Range": '"other"'}) as answer:
        assert (answer.status, await answer.read()) == (200, data)
    async with old.ask(path, headers={"Range": f"bytes={size}-"}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    for known, status in ((etag, 304), ("*", 304), ('"other"', 200)):
        async with old.ask(path, headers={"If-None-Match": known}) as answer:
            assert answer.status == status
    async with old.ask(path, headers={"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "name",
    ["events-2024-01-03.jsonl", "notes.txt", "..%2Fsecret", "%2Fetc%2Fpasswd", "events-2024-01-01.jsonl%00"],
)
async def test_nothing_else_is_there(old: Door, tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path.parent / "secret").write_text("mine")
    async with old.ask(f"/archive/{name}") as answer:
        assert answer.status == 404 and "mine" not in await answer.text()


async def test_the_page_lists_files_the_newest_first(old: Door) -> None:
    async with old.ask("/archive", headers=PAGE) as answer:
        assert answer.status == 302 and answer.headers["Location"] == "/archive/"
    page = await old.text("/archive/")
    assert page.index(f'href="/archive/{file_of(DAYS[1])}"') < page.index(
        f'href="/archive/{file_of(DAYS[0])}"'
    )
    assert 'href="/archive/"' in await old.text("/about")


@pytest.mark.parametrize("kept", [False, True])
async def test_without_an_archive_there_is_a_page_that_says_so(kept: bool, tmp_path: Path) -> None:
    rules = ArchiveRules(str(tmp_path), serve=False) if kept else ArchiveRules()
    async with Door(archive=rules) as door:
        for path in ("/archive/", "/archive/index.jsonl", f"/archive/{file_of(DAYS[0])}"):
            async with door.ask(path, headers=PAGE) as answer:
                assert answer.status == 404 and "There is nothing here" in await answer.text()
            async with door.ask(path) as answer:
                assert answer.status == 404 and answer.content_type == "text/plain"
        assert "/archive/" not in await door.text("/about")
        told = await report(door)
        assert told.exit_code == 2 and "publishes no archive" in told.stderr


async def test_before_the_first_launch_the_archive_is_empty(tmp_path: Path) -> None:
    async with Door(archive=ArchiveRules(str(tmp_path / "archive"))) as door:
        async with door.ask("/archive/index.jsonl") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        assert "There is no file yet" in await door.text("/archive/")
        assert "No launches" in (await report(door)).stdout


async def test_no_more_than_so_many_files_are_sent_at_once(
    old: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/archive/{file_of(DAYS[0])}"
    monkeypatch.setattr(archive, "MOST", 0)
    async with old.ask(path) as answer:
        assert answer.status == 503
    monkeypatch.setattr(archive, "MOST", 1)
    for _ in range(3):  # a place comes free each time
        async with old.ask(path) as answer:
            assert answer.status == 200


async def test_the_report_reads_only_the_days_that_are_asked_for(old: Door, tmp_path: Path) -> None:
    told = await report(old, "--since", DAYS[1], "--by", "day", "--json")
    assert [row["name"] for row in json.loads(told.stdout)["rows"]] == [DAYS[1]]
    told = await report(old, "--until", "2023-01-01")
    assert told.exit_code == 0 and "No launches" in told.stdout
    (tmp_path / file_of(DAYS[0])).unlink()
    told = await report(old)
    assert told.exit_code == 2 and file_of(DAYS[0]) in told.stderr
