"""Runs the real `up` over stand-ins, as a process of its own: `run_up.py STATE_DIR PORT READY_FILE RUNTIME`,
and `prometheus` behind that for one that watches it."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from federation.local.lock import Locked
from federation.local.prepare import Wish
from federation.local.prometheus import PrometheusMissing
from federation.local.readiness import NotReady
from federation.local.report import Report
from federation.local.runtime import RuntimeMissing
from federation.local.up import up
from federation.settings.local import LocalFile

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


def main() -> None:
    state_dir, port, ready_file, runtime, *more = sys.argv[1:]
    wish = Wish(
        LocalFile(port=int(port), runtime=runtime, prometheus=more == ["prometheus"]),
        Path(state_dir),
        Path(ready_file),
        front_door_command=(sys.executable, STAND_IN, "door"),
        member_command=(sys.executable, STAND_IN, "member"),
    )
    try:
        up(wish, Report(Console(highlight=False)))
    except (Locked, NotReady, RuntimeMissing, PrometheusMissing) as problem:
        sys.exit(f"Error: {problem}")


if __name__ == "__main__":
    main()
