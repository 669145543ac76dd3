"""A real Prometheus of the tests' own, which a test may stop; knows no part of the federation."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine_stage import StageError

READY_LIMIT = 30.0  # seconds
STOP_LIMIT = 10.0
_GLOBAL = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}


@contextmanager
def running_prometheus(
    folder: Path, targets: Mapping[str, int], *, doors: Sequence[int] = (), rules: Sequence[Path] = ()
) -> Iterator[str]:
    """The URL of a Prometheus that keeps its data in `folder` and reads `/metrics` of these ports on loopback every
    second, each under its label `member`, those of front doors without. It begins five seconds after its start and
    evaluates the files of `rules` every second. Raises StageError."""
    program = shutil.which("prometheus")
    if program is None:
        raise StageError("prometheus not found: run `.ci/test-tools`, which installs what the tests need")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.yml"
    jobs = [
        _job(targets),
        {"job_name": "binder-federation", "static_configs": [{"targets": [*map(_at, doors)]}]},
    ]
    files = [str(file) for file in rules]
    config.write_text(
        json.dumps({"global": _GLOBAL, "rule_files": files, "scrape_configs": jobs})
    )  # JSON is YAML
    port = free_port()
    # Without pdeathsig a killed test run would leave it behind.
    command = ["setpriv", "--pdeathsig", "KILL", program, f"--config.file={config}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, folder / "log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def asked(url: str, query: str) -> list[Any]:
    """The result of an instant query, by the plainest of clients."""
    question = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"{url}/api/v1/query?{question}", timeout=5) as answer:
        rows: list[Any] = json.load(answer)["data"]["result"]
    return rows


def _job(targets: Mapping[str, int]) -> dict[str, Any]:
    members = [{"targets": [_at(port)], "labels": {"member": name}} for name, port in targets.items()]
    return {"job_name": "binder-members", "static_configs": members}


def _at(port: int) -> str:
    return f"127.0.0.1:{port}"


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_LIMIT
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise StageError(f"prometheus did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.02)


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
