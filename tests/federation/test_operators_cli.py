"""The operators' commands as they are typed, at a real front door: words, exit codes, and whose token goes where."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from queue import Queue
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from door_stage import Door, StockMember
from steering_stage import ANA, BEN, OPERATORS, VERA
from typer.testing import CliRunner, Result

from federation.cli import app
from federation.core.operatortoken import digest
from federation.follow import steer as steering
from federation.follow.steer import UnclearEnd, end


def run(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300", **env})


@pytest.fixture(scope="module")
def door() -> Iterator[str]:
    """A front door with two members, beside the commands' own loop."""
    ready: Queue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def stand() -> None:
        over = asyncio.Event()
        async with (
            StockMember("alpha") as alpha,
            StockMember("beta") as beta,
            Door(alpha.configured(300.0), beta.configured(2.0), operators=OPERATORS) as front_door,
        ):
            ready.put((str(front_door.url).rstrip("/"), asyncio.get_running_loop(), over))
            await over.wait()

    thread = Thread(target=lambda: asyncio.run(stand()))
    thread.start()
    url, loop, over = ready.get(timeout=60)
    yield url
    loop.call_soon_threadsafe(over.set)
    thread.join(60)


@pytest.fixture
def at(door: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command at this front door, by default as ana."""
    monkeypatch.setattr("getpass.getuser", lambda: "alopez")

    def at(*arguments: str, token: str = ANA) -> Result:
        return run(*arguments, BINDER_FEDERATION_URL=door, BINDER_FEDERATION_TOKEN=token)

    yield at
    at("undrain", "alpha")
    at("weight", "alpha", "configured")


def test_a_member_is_drained_for_a_while_and_comes_back(at: Any) -> None:
    told = at("drain", "alpha", "--reason", "disk full", "--until", "10m")
    assert told.exit_code == 0, told.output
    assert re.search(
        r"^alpha: drained until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d by alopez: disk full$", told.stdout, re.M
    )

    listed = at("members", token=VERA)
    assert "drained: disk full" in listed.stdout and "by alopez: disk full" in listed.stdout
    public = at("members", token="")
    assert "disk full" in public.stdout and "alopez" not in public.stdout

    told = at("undrain", "alpha", "--reason", "disk is new", "--by", "Ana")
    assert (told.exit_code, told.stdout.strip()) == (0, "alpha: as configured, weight 300")
    lines = [line for line in at("audit", "--limit", "2").stdout.splitlines() if "alpha" in line]
    assert "ana (Ana)" in lines[0] and "disk is new" in lines[0] and "as configured" in lines[0]
    assert "ana (alopez)" in lines[1] and "drained until" in lines[1]


def test_a_weight_is_set_and_given_back(at: Any) -> None:
    assert (
        at("weight", "alpha", "12500.5", "--reason", "more room").stdout.strip()
        == "alpha: weight 12500.5 by alopez: more room"
    )
    both = at("drain", "alpha")
    assert both.stdout.splitlines()[0].startswith("alpha: weight 12500.5")
    at("undrain", "alpha")
    assert at("weight", "alpha", "configured").exit_code == 0


def test_the_length_begins_by_the_front_doors_clock(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        steering, "time", SimpleNamespace(time=lambda: 0.0)
    )  # a terminal whose clock was never set
    assert at("drain", "alpha", "--until", "2h").exit_code == 0


def test_who_was_first_is_said_to_the_second(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = steering.exchange

    async def late(method: str, *arguments: Any, **named: Any) -> Any:
        if method == "PATCH":  # ben comes between our reading and our writing
            await real(
                method,
                *arguments,
                token=BEN,
                body={"weight": 7, "reason": "storm", "by": "Ben"},
                headers={"If-Match": "*"},
            )
        return await real(method, *arguments, **named)

    monkeypatch.setattr(steering, "exchange", late)
    told = at("drain", "alpha")
    assert told.exit_code == 1 and told.stdout == ""
    assert "alpha was changed meanwhile" in told.stderr
    assert re.search(r"ben \(Ben\) at .*: weight 7: storm", told.stderr)
    assert "ana" not in told.stderr  # what was known before is no news
    monkeypatch.undo()
    assert "drained" not in at("audit", "--limit", "1").stdout


@pytest.mark.parametrize(
    ("arguments", "token", "code", "words"),
    [
        (("drain", "alpha"), "", 2, "needs an operator's token"),
        (("drain", "alpha"), "wrong", 2, "needs an operator's token"),
        (("drain", "alpha"), VERA, 2, "vera may look, and change nothing"),
        (("audit",), "", 2, "needs an operator's token"),
        (("drain", "nobody"), ANA, 2, "expected one of alpha, beta"),
        (("drain", "../beta?x=1"), ANA, 2, "expected one of alpha, beta"),
        (("weight", "alpha", "-1"), ANA, 2, "No such option"),
        (("weight", "alpha", "nan"), ANA, 2, "expected a number from 0, or configured"),
        (("weight", "alpha", "much"), ANA, 2, "expected a number from 0, or configured"),
        (("weight", "alpha", "1e12"), ANA, 2, "weight"),
        (("drain", "alpha", "--until", "soon"), ANA, 2, "such as 10m or 2h"),
        (("drain", "alpha", "--until", "2001-01-01"), ANA, 2, "until"),
        (("drain", "alpha", "--reason", "two\nlines"), ANA, 2, "reason"),
        (("weight", "alpha", "configured", "--until", "1h"), ANA, 2, "until"),
    ],
)
def test_what_cannot_be_is_usage(
    at: Any, arguments: tuple[str, ...], token: str, code: int, words: str
) -> None:
    told = at(*arguments, token=token)
    assert told.exit_code == code, told.output
    assert words in told.stderr and "Traceback" not in told.output


@pytest.mark.parametrize(
    "command", [("drain", "alpha"), ("weight", "alpha", "1"), ("undrain", "alpha"), ("audit",)]
)
def test_nobody_there_has_its_own_code(command: tuple[str, ...], unused_tcp_port: int) -> None:
    told = run(*command, "--front-door", f"http://127.0.0.1:{unused_tcp_port}", "--token", ANA)
    assert told.exit_code == 3 and str(unused_tcp_port) in told.stderr


def test_beside_an_up_its_own_token_is_used_and_nowhere_else(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.chdir(tmp_path)
    ready = tmp_path / ".binder-federation" / "federation.json"
    ready.parent.mkdir()
    ready.write_text(json.dumps({"front_door": door, "operator_token": ANA}))
    assert run("weight", "beta", "3").exit_code == 0
    assert run("weight", "beta", "configured", "--front-door", f"{door}/").exit_code == 0
    ready.write_text(json.dumps({"front_door": f"http://127.0.0.1:{unused_tcp_port}", "operator_token": ANA}))
    assert "needs an operator's token" in run("drain", "beta", "--front-door", door).stderr


def test_a_token_is_made_whose_digest_lets_it_in() -> None:
    told = run("token", "vera", "--role", "viewer")
    assert told.exit_code == 0
    token, rest = told.stdout.split("\n", 1)
    assert len(token) >= 43 and token not in rest
    assert yaml.safe_load(rest) == {
        "operators": {"vera": {"role": "viewer", "tokens": [f"sha256:{digest(token)}"]}}
    }
    assert run("token", "vera").stdout.split("\n")[0] != token
    assert run("token", "no name").exit_code == 2


def test_ends_are_lengths_or_times() -> None:
    assert [end(text).after for text in ("90s", "10m", "1.5h", "3d")] == [90, 600, 5400, 259200]
    assert end("2026-11-26T12:00:00+01:00").at == 1795690800
    assert end("2026-11-26 12:00").at == datetime(2026, 11, 26, 12).timestamp()
    assert end("10m").time(1000.0) == 1600 and end("2026-11-26T11:00Z").time(0.0) == 1795690800
    for text in ("", "10", "-10m", "10 weeks", "tomorrow", "9999999-01-01"):
        with pytest.raises(UnclearEnd):
            end(text)
