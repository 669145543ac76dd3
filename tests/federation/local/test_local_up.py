"""`up` as a process of its own, over real child processes that stand in for members and front door."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
from up_stage import PATIENCE, RUN_UP, Run, answers, is_sleep, until


def test_ready_file_has_the_agreed_shape_and_names_living_members(run: Run) -> None:
    found = run.start().ready()
    assert set(found) == {"front_door", "operator_token", "registry", "members"}
    assert found["front_door"] == f"http://127.0.0.1:{run.port}"
    assert len(found["operator_token"]) >= 32
    assert Path(found["registry"]).is_dir()
    assert [member["name"] for member in found["members"]] == ["member-a", "member-b"]
    for member in found["members"]:
        assert set(member) == {"name", "url", "hub_url", "pid"}
        assert psutil.pid_exists(member["pid"])
        with urlopen(f"{member['url']}/health") as response:
            assert response.status == 200
    until(lambda: f"Federation ready: {found['front_door']}" in run.output)
    assert "Isolation: none" in run.output
    assert str(run.state / "logs") in run.output
    assert "Ctrl-C" in run.output


@pytest.mark.parametrize("name", ["member-a.yaml", "front-door.yaml", "operator-token", "federation.json"])
def test_files_that_may_hold_secrets_are_the_users_alone(run: Run, name: str) -> None:
    run.start().ready()
    assert (run.state / name).stat().st_mode & 0o777 == 0o600
    assert run.state.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_and_the_exit_code_is_zero(run: Run, number: signal.Signals) -> None:
    run.start().ready()
    assert run.end(number) == 0
    assert run.leftovers() == []
    assert not run.ready_file.exists()
    assert list((run.state / "run").iterdir()) == []


def test_a_hangup_that_nohup_ignores_ends_nothing(run: Run) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # children inherit it
    try:
        run.start().ready()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert run.process is not None
    run.process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        run.process.wait(2)
    assert run.end() == 0


def test_a_ready_file_that_cannot_be_removed_leaves_nothing_running(run: Run) -> None:
    run.start().ready()
    run.ready_file.unlink()
    run.ready_file.mkdir()
    assert run.end() == 0
    assert run.leftovers() == []
    assert f"{run.ready_file} could not be removed" in run.output


def test_kill_9_leaves_no_program_running(run: Run) -> None:
    run.start().ready()
    assert run.end(signal.SIGKILL) == -9
    until(lambda: run.leftovers() == [])


def test_a_killed_up_can_be_started_again_at_once_on_the_same_ports(run: Run) -> None:
    first = run.start().ready()
    run.end(signal.SIGKILL)
    run.ready_file.unlink()
    second = run.start().ready()
    assert second["front_door"] == first["front_door"]
    assert second["operator_token"] == first["operator_token"]
    assert {m["pid"] for m in second["members"]}.isdisjoint(m["pid"] for m in first["members"])
    assert run.end() == 0
    assert run.leftovers() == []


def test_a_killed_member_comes_back_with_its_url_and_a_new_pid_and_its_orphans_are_ended(run: Run) -> None:
    before = run.start().ready()["members"]
    orphans = run.helpers()
    os.killpg(before[0]["pid"], signal.SIGKILL)

    def after() -> Any:
        member = json.loads(run.ready_file.read_text())["members"][0]
        return member if member["pid"] not in (None, before[0]["pid"]) else None

    member = until(after)
    assert member["url"] == before[0]["url"]
    assert member["hub_url"] == before[0]["hub_url"]
    until(lambda: sum(is_sleep(pid) for pid in orphans) == 2)  # the other member's and the front door's
    until(lambda: "member-a was started again" in run.output)
    assert "member-a was ended by signal 9" in run.output
    until(lambda: answers(member["url"]))
    assert run.end() == 0
    assert run.leftovers() == []


def test_what_tidies_up_behind_a_killed_member_is_let_finish(run: Run) -> None:
    run.state.mkdir()
    (run.state / "fault").write_text("member-a: tidies")
    member = run.start().ready()["members"][0]
    (run.state / "fault").unlink()
    os.killpg(member["pid"], signal.SIGKILL)
    assert run.end() == 0  # waits for it
    assert (run.state / "tidied").exists()
    assert run.leftovers() == []


def test_a_second_up_in_the_same_folder_is_refused_and_the_first_goes_on(run: Run, tmp_path: Path) -> None:
    found = run.start().ready()
    assert run.process is not None
    second = subprocess.run(
        [sys.executable, str(RUN_UP), str(run.state), "1", str(tmp_path / "other.json"), "process"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert second.returncode == 1
    assert f"{run.state} is in use by another `up` (pid {run.process.pid})" in second.stderr
    with urlopen(f"{found['front_door']}/health") as response:
        assert response.status == 200


def test_a_taken_front_door_port_leads_to_the_next_one(run: Run) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", run.port))
        other.listen()
        found = run.start().ready()
        assert found["front_door"] != f"http://127.0.0.1:{run.port}"
        assert f"port {run.port} is taken" in run.output


def test_one_member_that_cannot_start_does_not_hold_up_the_other(run: Run) -> None:
    run.state.mkdir()
    (run.state / "fault").write_text("member-b: exit")
    run.start().ready()
    until(lambda: "Federation ready" in run.output)
    assert "member-b does not take launches" in run.output
    assert "a problem of my own" in run.output  # the end of its log


def test_no_member_at_all_is_a_failure_that_says_why(run: Run) -> None:
    run.state.mkdir()
    (run.state / "fault").write_text("member-a: exit\nmember-b: exit")
    assert run.start().process is not None
    assert run.process is not None and run.process.wait(PATIENCE) == 1
    assert "Error: member-a and member-b ended 3 times" in run.output
    assert run.leftovers() == []


def test_a_port_taken_between_choice_and_start_is_named(run: Run) -> None:
    run.state.mkdir()
    (run.state / "fault").write_text("member-a: port")
    assert run.start().process is not None
    assert run.process is not None and run.process.wait(PATIENCE) == 1
    assert re.search(r"Error: member-a found its port \d+ taken by another program", run.output)
    assert run.leftovers() == []


def test_a_child_that_ignores_the_request_to_end_is_ended_by_a_second_ctrl_c(run: Run) -> None:
    run.state.mkdir()
    (run.state / "fault").write_text("member-a: deaf")
    run.start().ready()
    assert run.process is not None
    run.process.send_signal(signal.SIGINT)
    until(lambda: "Stopping" in run.output)
    begun = time.monotonic()
    assert run.end(signal.SIGINT) == 0
    assert time.monotonic() - begun < 8  # well under the grace that an orderly end has
    assert run.leftovers() == []


@pytest.mark.parametrize("open_pair", [os.pipe, os.openpty], ids=["pipe", "terminal"])
def test_what_was_started_is_ended_though_nobody_can_be_told(
    run: Run, open_pair: Callable[[], tuple[int, int]]
) -> None:
    reader, writer = open_pair()
    run.start(writer).ready()
    os.close(writer)
    os.close(reader)
    assert run.end() == 0
    assert run.leftovers() == []
    assert not run.ready_file.exists()
