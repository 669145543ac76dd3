"""Runs one command and leaves none of its descendants behind; knows nothing of builds, sessions or Jupyter.

Run as a script: `python -I -S reaper.py [--parent PID] [--grace SECONDS] [--workdir DIR] -- COMMAND...`.
Standard library only, because it runs before and outside any environment. It ends with the command's status
(128 + N after signal N).

Two processes watch each other, the guard (whose pid the caller sees) and the runner (the command's parent).
Both are child subreapers, so a daemon that forks twice and calls setsid still ends up as a child of one of
them; each is told by the kernel when its own parent dies. Killing the caller, the guard or the runner with
SIGKILL therefore ends everything; only killing guard and runner in the same instant escapes.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
WATCHED = STOP_SIGNALS | {signal.SIGCHLD}
NOT_STARTED = 127  # the shell's status for a command that could not be started


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def adopt(parent: int) -> None:
    """Become a subreaper that is told to stop when `parent` dies, also if that has happened already."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        os.kill(parent, 0)
    except ProcessLookupError:
        sys.exit(128 + signal.SIGTERM)
    except PermissionError:
        pass  # it lives, under another user


def parents() -> dict[int, int]:
    """pid to parent pid of every process that can be seen and is not a zombie."""
    found: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_bytes()
        except OSError:
            continue  # it ended meanwhile
        state, parent = stat[stat.rindex(b")") + 2 :].split()[:2]
        if state not in (b"Z", b"X"):
            found[int(folder.name)] = int(parent)
    return found


def descendants() -> set[int]:
    """Every living process below this one."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    below: set[int] = set()
    queue = [os.getpid()]
    while queue:
        fresh = [pid for pid in children.get(queue.pop(), ()) if pid not in below]
        below.update(fresh)
        queue.extend(fresh)
    return below


def signal_all(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def reap() -> dict[int, int]:
    """Collects every child that has ended: pid to exit status as a shell counts it."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        code = os.waitstatus_to_exitcode(status)
        ended[pid] = code if code >= 0 else 128 - code


def kill_all() -> None:
    """Kills all descendants: frozen first, so that one which forks faster than we look cannot escape."""
    frozen: set[int] = set()
    while True:
        below = descendants()
        if not below:
            reap()
            return
        if below <= frozen:
            signal_all(below, signal.SIGKILL)
            time.sleep(0.002)
        else:
            signal_all(below - frozen, signal.SIGSTOP)
            frozen |= below
        reap()


def watch(main: int, grace: float) -> int:
    """Status of child `main` when it ends.

    A stop signal goes to all descendants, which then have `grace` seconds.
    """
    deadline: float | None = None
    while True:
        ended = reap()
        if main in ended:
            return ended[main]
        if deadline is None:
            received = signal.sigwaitinfo(WATCHED).si_signo
        else:
            left = deadline - time.monotonic()
            info = signal.sigtimedwait(WATCHED, left) if left > 0 else None
            if info is None:
                return 128 + signal.SIGKILL
            received = info.si_signo
        if received in STOP_SIGNALS and deadline is None:
            deadline = time.monotonic() + grace
            signal_all(descendants(), signal.SIGTERM)


def run(argv: list[str], workdir: str | None) -> int:
    """Starts the command with default signals, in a session of its own, dying with this process.

    Returns its pid.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if workdir is not None:
            os.chdir(workdir)
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def guard(argv: list[str], *, parent: int, grace: float, workdir: str | None) -> int:
    """Starts the runner, which starts the command, and waits for it.

    The runner outlives us only to tidy up.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    if os.getpgrp() != os.getpid():
        os.setsid()  # Ctrl-C in the caller's terminal is for the caller to act on
    me = os.getpid()
    adopt(parent)
    runner = os.fork()
    if runner == 0:
        os.setsid()
        adopt(me)
        status = watch(run(argv, workdir), grace)
        kill_all()
        os._exit(status)
    status = watch(runner, grace + 2)  # the runner is given its own grace first
    kill_all()
    return status


def main() -> int:
    options = argparse.ArgumentParser(prog="reaper", description="Run a command, leave nothing of it behind.")
    options.add_argument("--parent", type=int, default=os.getppid(), help="pid whose death ends everything")
    options.add_argument("--grace", type=float, default=5.0, help="seconds between SIGTERM and SIGKILL")
    options.add_argument("--workdir", default=None, help="folder to start the command in")
    options.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND ARGUMENT...")
    given = options.parse_args()
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    if not command:
        options.error("a command is expected after --")
    return guard(command, parent=given.parent, grace=given.grace, workdir=given.workdir)


if __name__ == "__main__":
    sys.exit(main())
