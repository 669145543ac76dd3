"""The commands as a user types them: words, exit codes, and nothing started that was not asked for."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest
from door_stage import Door, StockMember
from typer.testing import CliRunner, Result

from federation.cli import app
from federation.core.model import Member
from federation.follow.launch import LaunchFailed

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"


def run(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", **env})


@pytest.fixture
def door() -> Iterator[str]:
    """A front door with a member that is well and one that is not, beside the commands' own loop."""
    ready: Queue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def stand() -> None:
        dead, over = Member("dead", "http://127.0.0.1:1", 1.0), asyncio.Event()
        async with StockMember("alpha") as alpha, Door(alpha.configured(), dead) as front_door:
            ready.put((str(front_door.url), asyncio.get_running_loop(), over))
            await over.wait()

    thread = Thread(target=lambda: asyncio.run(stand()))
    thread.start()
    url, loop, over = ready.get(timeout=60)
    yield url
    loop.call_soon_threadsafe(over.set)
    thread.join(60)


def test_docker_without_an_engine_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    socket = f"unix://{tmp_path}/none.sock"
    result = run("up", "--runtime", "docker", "--state-dir", str(tmp_path / "state"), DOCKER_HOST=socket)
    assert result.exit_code == 1
    assert f"{tmp_path}/none.sock" in result.stderr
    assert "make docker-tools" in result.stderr
    assert "--runtime process" in result.stderr


@pytest.mark.parametrize("workers", ["0", "65", "two"])
def test_a_number_of_workers_that_cannot_be_is_refused(workers: str) -> None:
    result = run("serve", "--config", str(CONFIG / "federation.yaml"), "--workers", workers)
    assert result.exit_code == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_front_door_that_cannot_listen_says_so(workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = str(CONFIG / "federation.yaml")
        result = run("serve", "--config", config, "--port", str(port), "--workers", workers)
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr


@pytest.mark.parametrize("option", [["--members", "0"], ["--port", "70000"], ["--runtime", "podman"]])
def test_a_bad_option_is_usage(option: list[str]) -> None:
    assert run("up", *option).exit_code == 2


@pytest.mark.parametrize("command", [["up", "--config"], ["serve", "--config"], ["check-config"]])
def test_a_bad_file_is_refused_before_anything_starts(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("members: 2\nprot: 1\n")
    result = run(*command, str(path))
    assert result.exit_code == 2
    assert f"{path}" in result.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_serve_says_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "federation.cli", "serve"),
                *("--config", str(CONFIG / "federation.yaml"), "--port", str(port)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("file", "kind"), [("federation.yaml", "for a front door"), ("local.yaml", "for a local federation")]
)
def test_the_shipped_files_are_good(file: str, kind: str) -> None:
    result = run("check-config", str(CONFIG / file))
    assert result.exit_code == 0
    assert kind in result.stdout


def test_a_members_file_is_sent_to_the_members_own_check() -> None:
    result = run("check-config", str(CONFIG / "member.yaml"))
    assert result.exit_code == 2
    assert "binder-member check-config" in result.stderr


def test_upstreams_json_is_good(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps({"hosts": {"a": {"url": "https://a.example.org", "weight": 1, "prime": True}}})
    )
    assert run("check-config", str(path)).exit_code == 0


@pytest.mark.parametrize(("which", "key"), [("front-door", "launch"), ("local", "runtime")])
def test_schemas_are_json(which: str, key: str) -> None:
    result = run("print-schema", which)
    assert result.exit_code == 0
    assert key in json.loads(result.stdout)["properties"]


def test_an_unclear_launch_is_usage() -> None:
    result = run("launch", "svn/user/repo")
    assert result.exit_code == 2
    assert "no provider 'svn'" in result.stderr


def test_the_reason_of_a_failed_launch_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> str:
        raise LaunchFailed("no \x07such \x1b[2Jref\nor branch\x9b1m")

    monkeypatch.setattr("federation.cli.follow", fails)
    result = run("launch", "gh/u/r/HEAD", "--front-door", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert {"Error: no such ref", "or branch1m"} <= set(result.stderr.splitlines())
    assert not set(result.stderr) & set("\x1b\x07\x9b")


def test_an_unreachable_front_door_has_its_own_code(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    result = run("launch", "gh/u/r/HEAD", BINDER_FEDERATION_URL=url)
    assert result.exit_code == 3
    assert url in result.stderr
    assert result.stdout == ""


def test_without_an_address_the_federation_of_this_folder_is_asked(
    tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".binder-federation").mkdir()
    url = f"http://127.0.0.1:{unused_tcp_port}"
    Path(".binder-federation/federation.json").write_text(json.dumps({"front_door": url}))
    result = run("launch", "gh/u/r/HEAD")
    assert result.exit_code == 3
    assert url in result.stderr


def test_members_are_listed(door: str) -> None:
    result = run("members", "--front-door", door)
    assert result.exit_code == 0
    assert "alpha" in result.stdout and "healthy" in result.stdout
    assert "refused the connection" in result.stdout


def test_a_launch_is_explained(door: str) -> None:
    result = run("explain", "gh/u/r/HEAD", "--member", "dead", BINDER_FEDERATION_URL=door)
    assert result.exit_code == 0
    assert "Goes to alpha: this repository's own member." in result.stdout
    assert "dead is not chosen: ejected: refused the connection." in result.stdout
    wish = run("explain", f"{door}/v2/gh/u/r/HEAD?member=alpha")  # a link says which front door
    assert "Goes to alpha: asked for by ?member=." in wish.stdout


def test_incidents_are_listed_and_one_that_is_not_known_is_usage(door: str) -> None:
    listed = run("incidents", "--front-door", door)
    assert listed.exit_code == 0
    assert (
        "No incident is remembered." in listed.stdout or "dead out of service" in listed.stdout
    )  # after a minute
    refused = run("incidents", "2026-01-01-01", "--front-door", door)
    assert refused.exit_code == 2 and "no incident '2026-01-01-01' is remembered" in refused.stderr


def test_a_question_about_nobody_is_usage(door: str) -> None:
    result = run("explain", "gh/u/r/HEAD", "--member", "nobody", "--front-door", door)
    assert result.exit_code == 2
    assert "member: 'nobody', expected one of alpha, dead" in result.stderr
    assert run("explain", "svn/u/r").exit_code == 2


@pytest.mark.parametrize("command", [["members"], ["costs"], ["explain", "gh/u/r/HEAD"]])
def test_asking_nobody_has_its_own_code(command: list[str], unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    result = run(*command, "--front-door", url)
    assert result.exit_code == 3
    assert url in result.stderr and "--front-door" in result.stderr
    assert result.stdout == ""
    assert run(*command, "--front-door", "nowhere").exit_code == 2


def test_help_names_the_commands_of_this_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "federation.cli", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "100"},
        check=True,
    )
    for command in ("up", "serve", "launch", "explain", "members", "costs", "check-config", "print-schema"):
        assert command in done.stdout
