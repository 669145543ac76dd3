"""Fences one command off from the machine, by bubblewrap or a plain reaper; knows no builds and no sessions.

With bubblewrap a command sees the system read-only, none of the homes, of /var, /run and /opt, only a few
files of /etc, a private /tmp and its own processes; it has no capability and calls itself uid 1000, whoever
runs the member. The network is shared. This is good for semi-trusted repositories, it is not a container.
Without bubblewrap a command is an ordinary process of the member's user, and only its end is looked after.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from members.adapters import trees
from members.core.model import Isolation

REAPER = Path(__file__).with_name("reaper.py")
OWN_ETC = Path(__file__).with_name("sandbox_etc")
USER_ID = "1000"  # BinderHub's user id; the files in sandbox_etc name it jovyan
ENVIRONMENT = Path("/srv/binder/env")  # where an image's environment is mounted, in builds and sessions alike
HOME = Path("/home/jovyan")  # where its repository files are mounted

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Of /etc only what programs need to run, resolve names, trust certificates and draw fonts: private keys,
# shadow and service configuration stay out of sight even when the member runs as root.
_ETC = (
    *(
        "alternatives",
        "bash.bashrc",
        "fonts",
        "gai.conf",
        "host.conf",
        "hosts",
        "inputrc",
        "ld.so.cache",
        "ld.so.conf",
    ),
    *(
        "ld.so.conf.d",
        "locale.alias",
        "locale.conf",
        "localtime",
        "magic",
        "mime.types",
        "nsswitch.conf",
        "profile",
    ),
    *(
        "protocols",
        "resolv.conf",
        "services",
        "ssl/certs",
        "ssl/openssl.cnf",
        "ca-certificates",
        "pki/ca-trust",
    ),
    *("pki/tls/certs", "pki/tls/cert.pem", "crypto-policies", "timezone"),
)


class SandboxMissing(Exception):
    """Bubblewrap was asked for, but does not work here; the message says how it failed."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the machine shown at `target` inside the sandbox; ignored without bubblewrap."""

    source: Path
    target: Path
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of each process: bytes of address space, bytes of any one file, seconds of processor time.

    `processes` (threads count too) is for all of a sandbox together. Without bubblewrap it is not set, because
    it would count every process of the member's user; and the kernel does not hold root to it.
    """

    memory: int | None = None
    file_size: int | None = None
    cpu_seconds: int | None = None
    processes: int = 4096


def detect(wanted: Literal["auto", "bubblewrap", "none"]) -> Isolation:
    """The isolation to use. Starts one real sandbox: bwrap may be installed and yet forbidden by the kernel.

    Raises SandboxMissing when bubblewrap is forced but does not work.
    """
    if wanted == "none":
        return Isolation.NONE
    fault = _bubblewrap_fault()
    if fault is None:
        return Isolation.BUBBLEWRAP
    if wanted == "bubblewrap":
        raise SandboxMissing(f"isolation: bubblewrap does not work here: {fault}")
    return Isolation.NONE


def wrap(
    isolation: Isolation, argv: Sequence[str], *, mounts: Sequence[Mount], workdir: Path, limits: Limits
) -> list[str]:
    """The argv to start instead of `argv`, from the process (and thread) that must not be outlived by it.

    `workdir` and the paths in `argv` are as the command sees them: see `inside`. Later mounts cover earlier
    ones. A mounted virtual environment brings the interpreter it was made from. SIGTERM ends everything: at
    once with bubblewrap, after some seconds of grace without. Start it in a session of its own, or Ctrl-C in
    the terminal ends a sandbox. Closing standard streams and the environment are the caller's business.
    """
    limited = [*_prlimit(limits), *argv]
    if isolation is Isolation.NONE:
        reaper = [
            sys.executable,
            "-I",
            "-S",
            str(REAPER),
            "--parent",
            str(os.getpid()),
            "--workdir",
            str(workdir),
        ]
        return [*reaper, "--", *limited]
    counted = ["prlimit", f"--nproc={limits.processes}", "--"]  # inside: of this sandbox alone
    return [*_bubblewrap(mounts), "--chdir", str(workdir), "--", *counted, *limited]


def inside(isolation: Isolation, path: Path, mounts: Sequence[Mount]) -> Path:
    """How a wrapped command sees `path`: below the target of its mount, or unchanged without a sandbox."""
    if isolation is Isolation.NONE:
        return path
    for mount in reversed(mounts):
        if path.is_relative_to(mount.source):
            return mount.target / path.relative_to(mount.source)
    return path


def interpreter_mount(python: Path) -> Mount | None:
    """The Python installation that holds the executable `python`, to be mounted where it lies.

    None when the system mounts have it already, or when the folder is no Python installation: the path may
    come from files that a repository could write, and must not open any other folder to it.
    """
    prefix = python.parent.parent
    real = prefix.resolve()
    if any(real.is_relative_to(folder) for folder in _SYSTEM) or len(real.parts) < 2:
        return None
    if not any(real.glob("lib/python3.*/os.py")):
        return None
    return Mount(real, prefix)


def _prlimit(limits: Limits) -> list[str]:
    options = ["prlimit", "--core=0"]
    if limits.memory is not None:
        options.append(f"--as={limits.memory}")
    if limits.file_size is not None:
        options.append(f"--fsize={limits.file_size}")
    if limits.cpu_seconds is not None:
        options.append(f"--cpu={limits.cpu_seconds}")
    return [*options, "--"]


def _bubblewrap(mounts: Sequence[Mount]) -> list[str]:
    options = ["bwrap", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    options += ["--unshare-user", "--uid", USER_ID, "--gid", USER_ID]
    options += ["--unshare-pid", "--unshare-ipc", "--unshare-cgroup-try"]
    options += [
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--ro-bind-try",
        "/sys/devices/system/cpu",
    ]
    options += ["/sys/devices/system/cpu", *_system()]
    for mount in (*_interpreters(mounts), *mounts):
        options += ["--bind" if mount.writable else "--ro-bind", str(mount.source), str(mount.target)]
    return [*options, "--remount-ro", "/"]


def _system() -> Iterator[str]:
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    for name in _ETC:
        path = Path("/etc") / name
        if path.exists():  # resolved, because /etc/resolv.conf may point into /run, which is not there
            yield from ("--ro-bind", str(path.resolve()), str(path))
    for file in ("passwd", "group"):
        yield from ("--ro-bind", str(OWN_ETC / file), f"/etc/{file}")


def _interpreters(mounts: Sequence[Mount]) -> list[Mount]:
    """Our own interpreter's installation, and those of mounted environments (`home` of pyvenv.cfg)."""
    pythons = [Path(sys.base_prefix, "bin", "python3")]
    for mount in mounts:
        try:
            text = trees.read_text(mount.source / "pyvenv.cfg")
        except (OSError, UnicodeDecodeError):
            continue
        lines = [line for line in text.splitlines() if line.startswith("home")]
        pythons += [Path(line.partition("=")[2].strip(), "python3") for line in lines]
    found = {python: interpreter_mount(python) for python in pythons if python.is_absolute()}
    return [mount for mount in found.values() if mount is not None]


def _bubblewrap_fault() -> str | None:
    if shutil.which("bwrap") is None:
        return "the program bwrap was not found (install bubblewrap)"
    try:
        tried = subprocess.run(
            [*_bubblewrap(()), "--", "true"],
            capture_output=True,
            text=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if tried.returncode == 0:
        return None
    return tried.stderr.strip() or f"exit status {tried.returncode}"
