"""`up --prometheus` with a real Prometheus, and stand-ins for members and front door."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from up_stage import Run, until

from federation import settings as front_door_settings
from federation.local.layout import Layout
from federation.local.prometheus import PrometheusMissing, plan_prometheus, shipped_rules

RULES = """
groups:
  - name: a group
    rules: [{record: "a:rule", expr: "vector(1)"}]
"""


@pytest.fixture
def watched(run: Run) -> Run:
    assert shutil.which("prometheus"), "these tests need Prometheus: .ci/test-tools installs it"
    run.more = ("prometheus",)
    return run


def told(url: str, path: str) -> Any:
    with urlopen(f"{url}/api/v1/{path}") as answer:
        return json.load(answer)["data"]


def targets(url: str) -> dict[str, tuple[str, str]]:
    """What is read, with its labels `job` and `member`."""
    return {
        target["scrapeUrl"]: (target["labels"]["job"], target["labels"].get("member", ""))
        for target in told(url, "targets?state=active")["activeTargets"]
    }


def answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/-/ready") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.integration
def test_it_reads_everybody_under_their_names_is_told_and_ends_with_the_rest(watched: Run) -> None:
    found = watched.start().ready()
    url = found["prometheus"]
    until(lambda: f"Prometheus: {url}" in watched.output)
    until(lambda: "Federation ready" in watched.output)
    until(lambda: targets(url))  # some seconds after its start
    assert targets(url) == {
        f"{found['front_door']}/metrics": ("binder-federation", ""),
        **{f"{each['url']}/metrics": ("binder-members", each["name"]) for each in found["members"]},
    }
    flags = told(url, "status/flags")
    assert flags["web.listen-address"] == url.removeprefix("http://")
    assert url.startswith("http://127.0.0.1:")
    assert flags["storage.tsdb.path"] == str(watched.state / "prometheus")
    assert flags["storage.tsdb.retention.time"] == "15d" and flags["storage.tsdb.retention.size"] == "512MiB"
    door = front_door_settings.load(watched.state / "front-door.yaml")
    assert door.prometheus.url == url
    assert watched.end() == 0
    assert watched.leftovers() == []
    assert not answers(url)


@pytest.mark.integration
def test_after_kill_9_it_ends_by_itself_and_the_next_one_has_its_address_and_its_data(watched: Run) -> None:
    url = watched.start().ready()["prometheus"]
    until(lambda: answers(url))
    assert watched.end(signal.SIGKILL) == -9
    until(lambda: not answers(url))
    until(lambda: watched.leftovers() == [])
    watched.ready_file.unlink()
    assert watched.start().ready()["prometheus"] == url
    until(lambda: answers(url))


@pytest.mark.integration
def test_one_that_cannot_start_is_told_and_launches_go_on(watched: Run) -> None:
    watched.state.mkdir()
    (watched.state / "prometheus").write_text("no folder, so no place for its data")
    watched.start().ready()
    until(lambda: "Federation ready" in watched.output)
    assert f"Prometheus does not answer: {watched.state / 'logs' / 'prometheus.log'}" in watched.output


def test_one_that_is_not_installed_is_told_before_anything_starts(watched: Run, tmp_path: Path) -> None:
    with pytest.raises(PrometheusMissing, match="apt-get install prometheus"):
        plan_prometheus(Layout(tmp_path), None, {"PATH": str(tmp_path)})
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(git)
    watched.env = {"PATH": str(tmp_path / "bin")}
    watched.start()
    assert watched.process is not None and watched.process.wait(30) == 1
    assert "Error: Prometheus was asked for and is not installed" in watched.output
    assert "Starting" not in watched.output


def test_its_port_stays_with_the_folder_and_is_nobody_elses(tmp_path: Path) -> None:
    first = plan_prometheus(Layout(tmp_path), None, os.environ)
    assert plan_prometheus(Layout(tmp_path), None, os.environ) == first
    assert plan_prometheus(Layout(tmp_path), None, os.environ, taken=(first.port,)).port != first.port


def test_rules_come_from_the_clone_or_from_the_installation_or_there_are_none(tmp_path: Path) -> None:
    home, installed = tmp_path / "clone", tmp_path / "wheel"
    assert shipped_rules(home, installed) is None
    installed.mkdir()
    (installed / "alerts.yml").write_text(RULES)
    assert shipped_rules(home, installed) == installed
    cloned = home / "dashboards" / "prometheus" / "rules"
    cloned.mkdir(parents=True)
    assert shipped_rules(home, installed) == installed
    (cloned / "alerts.yml").write_text(RULES)
    assert shipped_rules(home, installed) == cloned
