"""What a wrapped command can see and write, and that nothing of it outlives its end or its parent's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from members.adapters import sandbox
from members.adapters.sandbox import Limits, Mount, SandboxMissing, inside, interpreter_mount, wrap
from members.core.model import Isolation

HAVE_BUBBLEWRAP = sandbox.detect("auto") is Isolation.BUBBLEWRAP
ISOLATIONS = [Isolation.NONE, *([Isolation.BUBBLEWRAP] if HAVE_BUBBLEWRAP else [])]
needs_bubblewrap = pytest.mark.skipif(not HAVE_BUBBLEWRAP, reason="bubblewrap does not work on this machine")

# A daemon in the old manner: forks twice, leaves its session, and then sleeps under a name of its own.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.execv("/bin/sleep", [sys.argv[1], "1000"])
    os._exit(0)
time.sleep(0.3)
"""

# Forks without end, every child in a session of its own, until there are plenty that only sleep.
STORM = """
import os, sys, time
while True:
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.01)
    else:
        time.sleep(0.005)
    if len(os.listdir("/proc")) > 400:
        os.execv("/bin/sleep", [sys.argv[1], "1000"])
"""


def run(
    isolation: Isolation, argv: Sequence[str], *mounts: Mount, workdir: Path | None = None, **limits: int
) -> subprocess.CompletedProcess[str]:
    at = inside(isolation, workdir, mounts) if workdir else Path("/tmp")
    command = wrap(isolation, argv, mounts=mounts, workdir=at, limits=Limits(**limits))
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def named(name: str) -> list[int]:
    """The processes whose argv[0] is `name`."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if (process.info["cmdline"] or [""])[0] == name and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"binder-test-daemon-{os.getpid()}-{abs(hash(request.node.name))}"


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_status_and_output_are_the_commands(isolation: Isolation) -> None:
    result = run(isolation, ["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (result.returncode, result.stdout, result.stderr) == (7, "out\n", "err\n")


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_death_by_signal_is_told_as_a_shell_does(isolation: Isolation) -> None:
    assert run(isolation, ["sh", "-c", "kill -KILL $$"]).returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_missing_command_fails_with_its_name(isolation: Isolation) -> None:
    result = run(isolation, ["no-such-command"])
    assert result.returncode != 0
    assert "no-such-command" in result.stderr


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_detached_daemon_ends_with_the_command(isolation: Isolation, name: str) -> None:
    assert run(isolation, ["python3", "-c", DAEMON, name]).returncode == 0
    assert until(lambda: not named(name), 5)


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_detached_daemon_ends_when_the_wrapper_is_signalled(
    isolation: Isolation, how: signal.Signals, name: str
) -> None:
    script = DAEMON + "time.sleep(1000)"
    command = wrap(
        isolation, ["python3", "-c", script, name], mounts=(), workdir=Path("/tmp"), limits=Limits()
    )
    process = subprocess.Popen(command)
    try:
        assert until(lambda: bool(named(name)))
        process.send_signal(how)
        process.wait(15)
        assert until(lambda: not named(name))
    finally:
        process.kill()


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("whole_group", [False, True], ids=["the parent alone", "its whole process group"])
def test_everything_ends_when_the_parent_is_killed(
    isolation: Isolation, whole_group: bool, name: str
) -> None:
    parent_program = (
        "import subprocess, sys; from pathlib import Path; from members.core.model import Isolation\n"
        "from members.adapters.sandbox import wrap, Limits\n"
        "command = wrap(Isolation(sys.argv[1]), ['python3', '-c', sys.argv[2], sys.argv[3]],"
        " mounts=(), workdir=Path('/tmp'), limits=Limits())\n"
        "subprocess.run(command)"
    )
    root = Path(__file__).parents[3]
    argv = [sys.executable, "-c", parent_program, isolation, DAEMON + "time.sleep(1000)", name]
    parent = subprocess.Popen(argv, cwd=root, start_new_session=True)
    try:
        assert until(lambda: bool(named(name)))
        if whole_group:
            os.killpg(parent.pid, signal.SIGKILL)
        else:
            parent.kill()
        parent.wait(5)
        assert until(lambda: not named(name))
    finally:
        parent.kill()


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_ctrl_c_in_the_callers_terminal_does_not_reach_the_command(isolation: Isolation, name: str) -> None:
    caller = (
        "import signal, subprocess, sys; signal.signal(signal.SIGINT, lambda *_: print('mine', flush=True))\n"
        "from pathlib import Path; from members.core.model import Isolation\n"
        "from members.adapters.sandbox import wrap, Limits\n"
        "command = wrap(Isolation(sys.argv[1]), ['python3', '-c', sys.argv[2], sys.argv[3]],"
        " mounts=(), workdir=Path('/tmp'), limits=Limits())\n"
        "sys.exit(subprocess.run(command, start_new_session=sys.argv[1] == 'bubblewrap').returncode)"
    )
    argv = [sys.executable, "-c", caller, isolation, DAEMON + "time.sleep(0.5)\nsys.exit(5)", name]
    process = subprocess.Popen(
        argv, cwd=Path(__file__).parents[3], start_new_session=True, stdout=subprocess.PIPE
    )
    try:
        assert until(lambda: bool(named(name)))
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        assert (output, process.returncode) == (b"mine\n", 5)
    finally:
        process.kill()


def test_killing_the_inner_reaper_leaves_nothing(name: str) -> None:
    script = DAEMON + "time.sleep(1000)"
    command = wrap(
        Isolation.NONE, ["python3", "-c", script, name], mounts=(), workdir=Path("/tmp"), limits=Limits()
    )
    process = subprocess.Popen(command)
    try:
        assert until(lambda: bool(named(name)))
        (runner,) = psutil.Process(process.pid).children()
        runner.kill()
        assert process.wait(15) == 128 + signal.SIGKILL
        assert until(lambda: not named(name))
    finally:
        process.kill()


def test_fork_storm_is_ended(name: str) -> None:
    command = wrap(
        Isolation.NONE, ["python3", "-c", STORM, name], mounts=(), workdir=Path("/tmp"), limits=Limits()
    )
    process = subprocess.Popen(command)
    try:
        assert until(lambda: len(named(name)) > 20)
        process.terminate()
        process.wait(20)
        assert until(lambda: not named(name), 5)
    finally:
        process.kill()


def test_command_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = f"trap '' TERM; touch {ready}; while true; do sleep 1; done"
    argv = [sys.executable, "-I", str(sandbox.REAPER), "--grace", "0.3", "--", "sh", "-c", stubborn]
    process = subprocess.Popen(argv)
    assert until(ready.exists)
    process.terminate()
    assert process.wait(15) == 128 + signal.SIGKILL


def test_command_gets_its_grace_to_end_well(tmp_path: Path) -> None:
    ready, tidy = tmp_path / "ready", tmp_path / "tidy"
    polite = f"trap 'touch {tidy}; exit 0' TERM; touch {ready}; while true; do sleep 0.1; done"
    process = subprocess.Popen([sys.executable, "-I", str(sandbox.REAPER), "--", "sh", "-c", polite])
    assert until(ready.exists)
    process.terminate()
    assert process.wait(15) == 0
    assert tidy.exists()


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_limits_hold(isolation: Isolation) -> None:
    greedy = run(isolation, ["python3", "-c", "bytearray(800_000_000)"], memory=400_000_000)
    assert greedy.returncode == 1
    assert "MemoryError" in greedy.stderr
    big_file = "import tempfile; f = tempfile.TemporaryFile(); f.write(bytes(2_000_000)); f.flush()"
    assert run(isolation, ["python3", "-c", big_file], file_size=1_000_000).returncode != 0
    assert run(isolation, ["python3", "-c", "while True: pass"], cpu_seconds=1).returncode != 0
    raise_it = "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))"
    if isolation is Isolation.BUBBLEWRAP or os.getuid() != 0:
        assert run(isolation, ["python3", "-c", raise_it], memory=400_000_000).returncode == 1


@needs_bubblewrap
def test_a_fork_bomb_is_held_to_its_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/usr")  # nobody may not see another user's interpreter
    bomb = (
        "import os, time\n"
        "for n in range(200):\n"
        "    try:\n"
        "        if os.fork() == 0: time.sleep(20); os._exit(0)\n"
        "    except BlockingIOError: break\n"
        "print(n)\n"
    )
    argv = sandbox.wrap(
        Isolation.BUBBLEWRAP,
        ["/usr/bin/python3", "-c", bomb],
        mounts=(),
        workdir=Path("/tmp"),
        limits=Limits(processes=50),
    )
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    done = subprocess.run([*nobody, *argv], capture_output=True, text=True, timeout=30, check=False, cwd="/")
    assert 40 < int(done.stdout) < 50, done.stderr


@needs_bubblewrap
def test_only_writable_mounts_can_be_written(tmp_path: Path) -> None:
    for folder in ("shown", "own", "hidden"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text(folder)
    mounts = (
        Mount(tmp_path / "shown", Path("/srv/shown")),
        Mount(tmp_path / "own", Path("/home/jovyan"), writable=True),
    )
    script = (
        f"cat /srv/shown/file file; ls {tmp_path}; touch /srv/shown/no; "
        "touch /usr/no; touch /etc/no; touch /no; touch /home/no; touch yes; touch /tmp/yes && echo ends"
    )
    result = run(Isolation.BUBBLEWRAP, ["sh", "-c", script], *mounts, workdir=tmp_path / "own")
    assert result.stdout == "shownownends\n"
    assert result.stderr.count("Read-only file system") == 5
    assert (tmp_path / "own" / "yes").exists()
    assert not (tmp_path / "shown" / "no").exists()


@needs_bubblewrap
def test_homes_and_secrets_of_the_machine_are_out_of_sight() -> None:
    look = "ls /home /var /run /etc/shadow /etc/ssl/private; ls -A /root | grep -v pyenv; id -un; env -i true"
    result = run(Isolation.BUBBLEWRAP, ["sh", "-c", look])
    assert result.stdout == "jovyan\n"
    assert result.stderr.count("No such file") == 5


@needs_bubblewrap
def test_no_capability_and_no_foreign_process_inside() -> None:
    result = run(
        Isolation.BUBBLEWRAP, ["sh", "-c", "grep CapEff /proc/self/status; ls /proc | grep -c '^[0-9]'"]
    )
    capabilities, processes = result.stdout.splitlines()
    assert int(capabilities.split()[1], 16) == 0
    assert int(processes) < 8


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_mounted_environment_runs(isolation: Isolation, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    mount = Mount(tmp_path / "env", sandbox.ENVIRONMENT)
    python = inside(isolation, tmp_path / "env" / "bin" / "python", (mount,))
    result = run(isolation, [str(python), "-c", "import sys, ssl; print(sys.prefix)"], mount)
    expected = sandbox.ENVIRONMENT if isolation is Isolation.BUBBLEWRAP else tmp_path / "env"
    assert (result.stdout.strip(), result.stderr) == (str(expected), "")


def test_a_lying_environment_opens_no_folder(tmp_path: Path) -> None:
    """pyvenv.cfg belongs to the repository: only a Python installation may be shown because of it."""
    (tmp_path / "secret" / "bin").mkdir(parents=True)
    assert interpreter_mount(tmp_path / "secret" / "bin" / "python3") is None
    assert interpreter_mount(Path("/bin/python3")) is None  # its prefix would be the whole machine
    assert interpreter_mount(Path("/usr/bin/python3")) is None  # there already


def test_none_needs_no_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sandbox.detect("none") is Isolation.NONE
    assert sandbox.detect("auto") is Isolation.NONE
    with pytest.raises(SandboxMissing, match="bwrap was not found"):
        sandbox.detect("bubblewrap")


def test_an_installed_but_broken_bubblewrap_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert sandbox.detect("auto") is Isolation.NONE
    with pytest.raises(SandboxMissing, match="Permission denied"):
        sandbox.detect("bubblewrap")
