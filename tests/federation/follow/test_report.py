"""The report of an archive's files: ours, mybinder.org's, compressed, broken ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner, Result

from federation.cli import app
from federation.follow import archive
from federation.follow.archive import Reading, Span, from_front_door
from federation.follow.stream import Unreachable

HEAD = '{"timestamp": "%s", "schema": "binderhub.jupyter.org/launch", '


def line(day: str, member: str, more: str = "") -> str:
    told = f'"version": 4, "provider": "GitHub", "spec": "u/r/HEAD", "status": "success", "origin": "{member}"{more}'
    return HEAD % f"{day}T01:02:00+00:00" + told + "}\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(
        app, ["report", *arguments], env={"COLUMNS": "100", "BINDER_FEDERATION_URL": ""}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    gesis, ovh = "gesis.mybinder.org", "ovh2.mybinder.org"
    (tmp_path / "events-2024-01-01.jsonl").write_text(3 * line("2024-01-01", gesis) + line("2024-01-01", ovh))
    packed = (2 * line("2024-01-02", ovh) + "\n" + '{"torn').encode()
    (tmp_path / "events-2024-01-02.jsonl.gz").write_bytes(gzip.compress(packed))
    (tmp_path / "index.jsonl").write_text("{}")
    return tmp_path


def test_a_folder_of_mybinders_files_becomes_tables_with_bars(folder: Path) -> None:
    told = run("--folder", str(folder))
    assert told.exit_code == 0
    rows = [row.split() for row in told.stdout.splitlines() if "mybinder.org" in row]
    assert rows == [
        ["gesis.mybinder.org", "██████████", "3", "50.0", "%", "100.0", "%"],
        ["ovh2.mybinder.org", "██████████", "3", "50.0", "%", "100.0", "%"],
    ]
    assert "GitHub u/r" in told.stdout and "Waited" not in told.stdout.replace("Waited (in line)", "")
    assert "1 lines are no launches" in told.stderr


def test_files_span_and_grouping_can_be_chosen(folder: Path) -> None:
    both = sorted(map(str, folder.glob("events-*")))
    told = run(*both, "--by", "day", "--csv")
    assert [row.split(",")[:3] for row in told.stdout.splitlines()] == [
        ["day", "launches", "good"],
        ["2024-01-01", "4", "4"],
        ["2024-01-02", "2", "2"],
    ]
    told = run("--folder", str(folder), "--until", "2024-01-01", "--json")
    assert [row["launches"] for row in json.loads(told.stdout)["rows"]] == [3, 1]
    told = run("--folder", str(folder), "--by", "member", "--top", "1")
    assert "1 of 2" in told.stdout and "ovh2" not in told.stdout


def test_names_that_a_spreadsheet_would_reckon_with_are_quoted(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(line("2024-01-01", "=1+1") + line("2024-01-01", "\x1b[2J"))
    told = run(str(path), "--csv")
    assert "\n'=1+1," in told.stdout and "\x1b" not in told.stdout
    assert "\x1b[2J" not in run(str(path)).stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--csv", "--json"], "one of them"),
        (["--folder", "/nowhere"], "/nowhere"),
        (["/nowhere/events.jsonl"], "/nowhere/events.jsonl"),
        (["--since", "yesterday"], "yesterday"),
        (["--by", "weather"], "weather"),
        (["--front-door", "mybinder.org"], "no front door"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments: list[str], why: str) -> None:
    told = run(*arguments)
    assert told.exit_code == 2 and why in told.stderr


def test_a_broken_compressed_file_is_told(folder: Path) -> None:
    path = folder / "events-2024-01-02.jsonl.gz"
    path.write_bytes(path.read_bytes()[:40])
    told = run(str(path))
    assert told.exit_code == 2 and str(path) in told.stderr


def test_nobody_there_is_unreachable(unused_tcp_port: int) -> None:
    assert run("--front-door", f"http://127.0.0.1:{unused_tcp_port}").exit_code == 3


INDEX = '{"name": "events-2024-01-01.jsonl", "date": "2024-01-01", "count": "1"}'


@pytest.fixture
async def odd() -> AsyncIterator[str]:
    """A server whose first part of the path says how odd its archive is."""

    async def index(request: web.Request) -> web.Response:
        match request.match_info["how"]:
            case "page":
                return web.Response(text="<html>", content_type="text/html")
            case "index":
                return web.Response(text="[]")
            case "names":
                return web.Response(text='{"name": "../../secret"}')
        return web.Response(text=INDEX)

    async def events(request: web.Request) -> web.Response:
        if request.match_info["how"] == "down":
            return web.Response(status=502)
        return web.Response(text=3000 * "x" if request.match_info["how"] == "endless" else 5 * "x\n")

    application = web.Application()
    application.router.add_get("/{how}/archive/index.jsonl", index)
    application.router.add_get("/{how}/archive/{name}", events)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize(
    ("how", "why"),
    [("page", "address of a front door"), ("index", "no index"), ("down", "502"), ("endless", "longer than")],
)
async def test_what_is_no_archive_is_told(
    odd: str, how: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LONGEST_LINE", 1000)
    with pytest.raises(Unreachable, match=why):
        await from_front_door(f"{odd}/{how}", Reading(Span(), print))


async def test_odd_lines_are_counted_and_odd_names_are_not_asked_for(odd: str) -> None:
    reading = Reading(Span(), print)
    await from_front_door(f"{odd}/names", reading)
    assert reading.odd == 0
    await from_front_door(f"{odd}/lines", reading)
    assert reading.odd == 5
