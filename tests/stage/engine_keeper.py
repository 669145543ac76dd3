"""Runs one container engine for the tests and removes all of it again; knows nothing of pytest.

`engine_keeper.py FOLDER BRIDGE ADDRESS POOL`, where BRIDGE also names the control group of all containers. Writes
"ready" to standard output once the engine answers, else what went wrong. The engine lives until standard input
ends, which it does however the process at its other end does. Then engine, containers, mounts, bridges and folder
are removed.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

READY_LIMIT = 60.0  # seconds
STOP_LIMIT = 20.0


def main() -> int:
    folder, bridge, address, pool = Path(sys.argv[1]), *sys.argv[2:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal's Ctrl-C is for pytest, which then ends our input
    engine: subprocess.Popen[bytes] | None = None
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", address, "dev", bridge)
        _ip("link", "set", bridge, "up")
        engine = _start(folder, bridge, pool)
        _wait(folder, engine)
        print("ready", flush=True)
        sys.stdin.read()
    except (OSError, subprocess.SubprocessError, TimeoutError) as problem:
        log = folder / "engine.log"
        tail = log.read_text(errors="replace")[-3000:] if log.exists() else ""
        with contextlib.suppress(BrokenPipeError):
            print(f"{problem}\n{tail}", flush=True)
        return 1
    finally:
        _remove(folder, bridge, pool, engine)
    return 0


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


def _start(folder: Path, bridge: str, pool: str) -> subprocess.Popen[bytes]:
    socket = folder / "docker.sock"
    command = ["dockerd", "--host", f"unix://{socket}", "--pidfile", str(folder / "pid")]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["--bridge", bridge, "--iptables=false", "--ip6tables=false", "--ip-masq=false"]
    command += ["--default-address-pool", f"base={pool},size=24"]
    command += ["--cgroup-parent", f"/{bridge}", "--exec-opt", "native.cgroupdriver=cgroupfs"]
    # A keeper that is killed takes the engine with it.
    command = ["setpriv", "--pdeathsig", "TERM", *command]
    with (folder / "engine.log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _wait(folder: Path, engine: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_LIMIT
    question = ["docker", "--host", f"unix://{folder}/docker.sock", "version"]
    while subprocess.run(question, capture_output=True, timeout=READY_LIMIT, check=False).returncode:
        if engine.poll() is not None:
            raise ChildProcessError(f"dockerd ended with code {engine.returncode}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"no answer within {READY_LIMIT:.0f} s")
        time.sleep(0.05)


def _remove(folder: Path, bridge: str, pool: str, engine: subprocess.Popen[bytes] | None) -> None:
    """Kills without asking: nobody will ever read this data root again."""
    if engine is not None:
        engine.kill()
        engine.wait()
    deadline = time.monotonic() + STOP_LIMIT
    while (left := [*_named(folder), *_contained(bridge)]) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for place in sorted(_mounts(folder), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True, timeout=10)
    for device in (bridge, *_bridges(ipaddress.ip_network(pool))):
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "delete", device)
    for group in _groups(bridge):
        with contextlib.suppress(OSError):
            group.rmdir()
    shutil.rmtree(folder, ignore_errors=True)


def _named(folder: Path) -> Iterator[int]:
    """The engine's own processes, containerd and the shims: all of them have the folder in their arguments."""
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            with contextlib.suppress(OSError):
                if f"{folder}/".encode() in (place / "cmdline").read_bytes():
                    yield int(place.name)


def _contained(name: str) -> Iterator[int]:
    """What runs in containers and builds."""
    for group in _groups(name):
        with contextlib.suppress(OSError):
            yield from map(int, (group / "cgroup.procs").read_text().split())


def _groups(name: str) -> list[Path]:
    """The control groups of the containers, innermost first; version 1 has a tree for each controller."""
    root = Path("/sys/fs/cgroup")
    tops = [top for top in (root / name, *root.glob(f"*/{name}")) if top.is_dir()]
    found = [Path(place) for top in tops for place, _, _ in os.walk(top)]
    return sorted(found, key=lambda place: len(place.parts), reverse=True)


def _mounts(folder: Path) -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = line.split(" ")[1]
        if place.startswith(f"{folder}/"):
            yield place


def _bridges(pool: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Iterator[str]:
    """The bridges of networks that were made on the engine."""
    listed = subprocess.run(["ip", "-json", "-4", "addr"], check=True, capture_output=True, timeout=10).stdout
    for device in json.loads(listed):
        if any(ipaddress.ip_address(one["local"]) in pool for one in device["addr_info"]):
            yield device["ifname"]


if __name__ == "__main__":
    sys.exit(main())
