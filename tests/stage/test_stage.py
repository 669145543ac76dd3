"""The stage itself: its engines share nothing with the machine or each other, and leave nothing behind."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from engine_stage import Engine, StageError, start_engine
from registry_stage import start_registry

docker = pytest.mark.docker
integration = pytest.mark.integration

RUN = """
import sys, time
from pathlib import Path
from engine_stage import start_engine
from registry_stage import start_registry
engine = start_engine()
engine.run("import", sys.argv[1], "sleeper:1")
engine.run("network", "create", "sessions")
engine.run("run", "--detach", "--network", "sessions", "sleeper:1", "/bin/sleep", "1000")
registry = start_registry(Path(sys.argv[2]))
print(engine.folder, registry.port, flush=True)
time.sleep(1000)
"""


def sleeper(place: Path) -> Path:
    """A tar of a file system with a sleep that runs."""
    listed = subprocess.run(["ldd", "/bin/sleep"], check=True, capture_output=True, text=True).stdout
    with tarfile.open(place, "w") as tar:
        for path in ("/bin/sleep", *re.findall(r"/\S+", listed)):
            data = Path(path).read_bytes()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return place


def traces(folder: Path) -> list[str]:
    """What is still there of an engine: mounts, processes, the folder."""
    found = [line for line in Path("/proc/mounts").read_text().splitlines() if f"{folder}/" in line]
    found += [str(folder)] if folder.exists() else []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                command = (place / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            found += [command] if f"{folder}" in command else []
    return found


def networks() -> set[str]:
    listed = subprocess.run(["ip", "-json", "link"], check=True, capture_output=True).stdout
    return {device["ifname"] for device in json.loads(listed) if device["ifname"].startswith(("bft", "br-"))}


@docker
@integration
def test_two_engines_share_nothing_and_leave_nothing(tmp_path: Path) -> None:
    first, second = start_engine(), start_engine()
    try:
        assert first.address != second.address
        first.run("import", str(sleeper(tmp_path / "sleeper.tar")), "sleeper:1")
        assert "sleeper" in first.run("images")
        assert "sleeper" not in second.run("images")
    finally:
        first.stop()
        second.stop()
    assert traces(first.folder) == []
    assert traces(second.folder) == []


@docker
@integration
def test_a_killed_run_leaves_nothing(tmp_path: Path) -> None:
    tar = sleeper(tmp_path / "sleeper.tar")
    command = [sys.executable, "-c", RUN, str(tar), str(tmp_path / "registry")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    before = networks()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        folder, port = run.stdout.readline().split()
        made = networks() - before
        run.kill()
    deadline = time.monotonic() + 30
    while traces(Path(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert traces(Path(folder)) == []
    assert made & networks() == set()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5)


@docker
@integration
def test_a_container_reaches_the_host_at_the_address(engine: Engine, base_image: str, tmp_path: Path) -> None:
    served = start_registry(tmp_path / "registry", address=engine.address)
    try:
        ask = f"import urllib.request as u; print(u.urlopen('{served.url}/v2/', timeout=20).status)"
        assert engine.run("run", "--rm", base_image, "python", "-c", ask) == "200\n"
    finally:
        served.kill()


@docker
@integration
def test_a_registry_keeps_port_and_images_when_it_is_killed(engine: Engine, tmp_path: Path) -> None:
    registry = start_registry(tmp_path / "registry")
    try:
        engine.run("import", str(sleeper(tmp_path / "sleeper.tar")), f"{registry.host}/sleeper:1")
        engine.run("push", f"{registry.host}/sleeper:1")
        registry.kill()
        with pytest.raises(subprocess.CalledProcessError):
            engine.run("pull", f"{registry.host}/sleeper:1")
        registry.start()
        engine.run("pull", f"{registry.host}/sleeper:1")
    finally:
        registry.kill()


def test_who_is_not_root_reads_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StageError, match="only root can"):
        start_engine()


def test_a_machine_without_docker_reads_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StageError, match=r"dockerd, docker, .* not found: run `make docker-tools`"):
        start_engine()
