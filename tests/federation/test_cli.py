"""The commands as a user types them: words, exit codes, and nothing started that was not asked for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from federation.cli import app
from federation.follow.launch import LaunchFailed

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"


def run(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", **env})


def test_docker_without_an_engine_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    socket = f"unix://{tmp_path}/none.sock"
    result = run("up", "--runtime", "docker", "--state-dir", str(tmp_path / "state"), DOCKER_HOST=socket)
    assert result.exit_code == 1
    assert f"{tmp_path}/none.sock" in result.stderr
    assert "make docker-tools" in result.stderr
    assert "--runtime process" in result.stderr


def test_more_than_one_worker_is_refused(tmp_path: Path) -> None:
    result = run("serve", "--config", str(CONFIG / "federation.yaml"), "--workers", "2")
    assert result.exit_code == 2
    assert "--workers 2: this version serves with one process" in result.stderr


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
    for command in ("up", "serve", "launch", "check-config", "print-schema"):
        assert command in done.stdout
