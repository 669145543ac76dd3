"""The base image, the locked environment under every other image; knows nothing of repositories.

Built once for all members of a machine, kept in the common store under a name that changes with the lock file
and the interpreter.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from threading import Event
from typing import IO

from members.adapters import trees, uv_install
from members.adapters.blocking import Stopped, blocking
from members.adapters.build_step import StepFailed
from members.adapters.interpreters import Interpreter
from members.adapters.oci_layout import PYTHON_LABEL, SHARED, OciLayoutStore
from members.adapters.uv_install import BASE, InstallFailed, NeedsSource, NoNetwork, Uv
from members.adapters.workbench import Workbench
from members.core.model import BuildBroken

_LOCKED_FROM = (3, 10)  # older interpreters get current versions instead of the locked ones
_FORMAT = "1"  # raised when environments are laid out otherwise


def image_name(python: Interpreter) -> str:
    """The base image for an interpreter.

    The leading letters keep it apart from names of repositories' images.
    """
    parts = [_FORMAT, str(python.path), str(python.version)]
    files = ("requirements.in", "requirements.lock", "overrides.txt")
    parts += [(BASE / name).read_text(encoding="utf-8") for name in files]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{SHARED}{python.name}:{digest[:16]}"


class BaseImage:
    """Makes base images and brings them to this member."""

    def __init__(self, *, store: OciLayoutStore, uv: Uv) -> None:
        self._store = store
        self._uv = uv
        self._making = asyncio.Lock()

    async def ensure(self, python: Interpreter, bench: Workbench) -> AsyncGenerator[str, None]:
        """Ends when the base image is in the store and unpacked here. Raises BuildBroken or LaunchFailed.

        `bench` is used, and left empty, only when no member has made the image yet.
        """
        name = image_name(python)
        if not await self._store.has(name):
            async with self._making, _locked(self._uv.cache.with_name("base.lock")):
                if not await self._store.has(name):
                    yield f"Making the base environment with {python.name}, once for this machine\n"
                    async with aclosing(self._make(name, python, bench)) as lines:
                        async for line in lines:
                            yield line
        async with aclosing(self._store.fetch(name)) as lines:
            async for line in lines:
                yield line

    async def _make(self, name: str, python: Interpreter, bench: Workbench) -> AsyncGenerator[str, None]:
        await asyncio.to_thread(trees.remove, self._store.place(name))  # what the store lost is made anew
        try:
            async with aclosing(self._uv.create(bench, python)) as lines:
                async for line in lines:
                    yield line
            async with aclosing(self._install(python, bench)) as lines:
                async for line in lines:
                    yield line
        except (StepFailed, InstallFailed, NeedsSource) as error:
            raise BuildBroken("The base environment could not be made: see the log above.") from error
        except NoNetwork as error:
            raise BuildBroken(
                "The package index could not be reached, and the base is not cached."
            ) from error
        await uv_install.compile_new(bench, None)
        await self._store.put(name, bench.tree, base=None, labels={PYTHON_LABEL: str(python.path)})

    async def _install(self, python: Interpreter, bench: Workbench) -> AsyncGenerator[str, None]:
        """From the cache alone when it has everything: a machine without network then still builds."""
        locked = ("--require-hashes", "-r", self._uv.base(bench, "requirements.lock"))
        wanted = locked if python.version >= _LOCKED_FROM else ("-r", self._uv.base(bench, "requirements.in"))
        try:
            async with aclosing(self._uv.install_wheels(bench, "--offline", *wanted)) as lines:
                kept = [line async for line in lines]
        except (NoNetwork, InstallFailed):
            async with aclosing(self._uv.install_wheels(bench, *wanted)) as lines:
                async for line in lines:
                    yield line
            return
        for line in kept:
            yield line


@asynccontextmanager
async def _locked(path: Path) -> AsyncGenerator[None, None]:
    """Holds a lock against the other members of this machine; the kernel frees it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        await blocking(_lock, file)
        yield


def _lock(stop: Event, file: IO[bytes]) -> None:
    while not stop.wait(0.1):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return
    raise Stopped
