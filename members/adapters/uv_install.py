"""Packages into a build's environment with uv; knows nothing of git, recipes and images.

Two ways, and the difference is whose code runs. Wheels are only unpacked: that is done with the cache that
all builds share. Source packages and the repository's own project run their build scripts: those get a cache
of their own, so that no repository can change what another one will install.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from members.adapters import trees
from members.adapters.build_step import StepFailed
from members.adapters.environment import GIT_ALONE
from members.adapters.interpreters import Interpreter
from members.adapters.sandbox import ENVIRONMENT, Mount, interpreter_mount
from members.adapters.workbench import Workbench

BASE = Path(
    __file__
).with_name(
    "base"
)  # requirements.in: what every environment has; requirements.lock: exactly which; overrides.txt: what none has
_INSIDE = ENVIRONMENT.parent
_LONGEST_SCRIPT = 1 << 20  # bytes of a script of a package; a program is longer, and none of ours

_NEEDS_SOURCE = re.compile(
    r"--no-build|building from source is disabled|source distributions? .*disabled", re.IGNORECASE
)
_NO_NETWORK = re.compile(
    r"error sending request|failed to fetch|dns error|could not connect|client error \(connect\)"
    r"|operation timed out|network was disabled",
    re.IGNORECASE,
)
_COMPLAINT = re.compile(r"\s*(error:|× |warning: failed)", re.IGNORECASE)


class NeedsSource(Exception):
    """A package has no wheel: somebody's build script would have to run."""


class NoNetwork(Exception):
    """The package index could not be reached, and what is wanted is not in the cache."""


class InstallFailed(Exception):
    """uv's refusal, which has been told in its own words."""


@dataclass(frozen=True, slots=True)
class Uv:
    """uv for builds: the program and the cache that all builds of this machine share."""

    program: Path
    cache: Path

    async def create(self, bench: Workbench, python: Interpreter) -> AsyncGenerator[str, None]:
        """An empty environment that can be moved. Raises StepFailed."""
        await asyncio.to_thread(bench.env.mkdir)
        mounts = self._mounts(bench.root / "cache")
        prefix = interpreter_mount(python.path)
        mounts = (*mounts, prefix) if prefix is not None else mounts
        options = ["venv", "--quiet", "--relocatable", "--allow-existing", "--no-config", "--no-project"]
        argv = [
            bench.seen(self.program, *mounts),
            *options,
            "--python",
            str(python.path),
            bench.seen(bench.env),
        ]
        async with aclosing(bench.run(argv, *mounts, variables=self._variables(bench, mounts))) as lines:
            async for line in lines:
                yield line

    async def install_wheels(self, bench: Workbench, *wanted: str) -> AsyncGenerator[str, None]:
        """Installs from wheels alone, with the shared cache. Raises NeedsSource, NoNetwork or InstallFailed.

        Tells uv's complaints only when they are final: without NeedsSource.
        """
        await asyncio.to_thread(self.cache.mkdir, parents=True, exist_ok=True)
        async with aclosing(self._install(bench, self.cache, "--no-build", *wanted)) as lines:
            async for line in lines:
                yield line

    async def install_any(self, bench: Workbench, *wanted: str) -> AsyncGenerator[str, None]:
        """Installs also what must be built, with a cache of this build's own.

        Raises NoNetwork or InstallFailed.
        """
        async with aclosing(self._install(bench, bench.root / "cache", *wanted)) as lines:
            async for line in lines:
                yield line

    def base(self, bench: Workbench, name: str) -> str:
        """How uv sees a file of `BASE`."""
        return bench.seen(BASE / name, *self._mounts(self.cache))

    async def _install(self, bench: Workbench, cache: Path, *wanted: str) -> AsyncGenerator[str, None]:
        await asyncio.to_thread(cache.mkdir, exist_ok=True)
        mounts = self._mounts(cache)
        argv = [
            bench.seen(self.program, *mounts),
            "pip",
            "install",
            "--no-config",
            "--python",
            bench.seen(bench.env),
            "--override",
            bench.seen(BASE / "overrides.txt", *mounts),
        ]
        held: list[str] = []
        try:
            run = bench.run([*argv, *wanted], *mounts, variables=self._variables(bench, mounts))
            async with aclosing(run) as lines:
                async for line in lines:
                    if held or _COMPLAINT.match(line):
                        held.append(line)
                    else:
                        yield line
        except StepFailed as error:
            if "--no-build" in wanted and _NEEDS_SOURCE.search(error.text):
                raise NeedsSource from error
            if _NO_NETWORK.search(error.text):
                raise NoNetwork(error.text) from error
            for line in held:
                yield line
            raise InstallFailed from error
        for line in held:
            yield line

    def _mounts(self, cache: Path) -> tuple[Mount, ...]:
        program = Mount(self.program, _INSIDE / "bin" / "uv")
        base = Mount(BASE, _INSIDE / "base")
        return (program, base, Mount(cache, _INSIDE / "cache", True)) if cache.is_dir() else (program, base)

    def _variables(self, bench: Workbench, mounts: tuple[Mount, ...]) -> dict[str, str]:
        caches = [mount.source for mount in mounts if mount.writable]
        cache = {"UV_CACHE_DIR": bench.seen(caches[0], *mounts)} if caches else {"UV_NO_CACHE": "1"}
        return {
            **cache,
            # Copies: a hard link would let an environment's user change the cache, and across mounts there is
            # none.
            "UV_LINK_MODE": "copy",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            "HOME": bench.seen(bench.tmp),
            **GIT_ALONE,
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }


async def compile_new(bench: Workbench, base: Path | None) -> None:
    """Compiles the Python files that `base` (an environment) does not have, so that no session has to.

    The compiled files are tied to the sources' times, which images keep: an environment that is edited by
    hand later still works. Files that do not compile are common in packages (templates, other versions) and
    are left alone.
    """
    listed = await asyncio.to_thread(_new_sources, bench.env, base)
    if not listed:
        return
    prefix = Path(bench.seen(bench.env))
    names = Mount(bench.root / "compile", _INSIDE / "compile")  # out of reach of the repository's code
    names.source.write_bytes(b"".join(os.fsencode(prefix / path) + b"\n" for path in listed))
    workers = str(min(4, os.cpu_count() or 1))
    # Without `site`, or `.pth` files of the repository's packages would run: in an environment of hard links,
    # which other images use too.
    argv = [str(prefix / "bin" / "python"), "-I", "-S", "-m", "compileall"]
    argv += ["-q", "-j", workers, "-i", bench.seen(names.source, names)]
    try:
        async with aclosing(bench.run(argv, names)) as lines:
            async for _ in lines:
                pass
    except StepFailed:
        return
    finally:
        names.source.unlink(missing_ok=True)


def use_own_python(env: Path, built_at: Sequence[str]) -> None:
    """Makes scripts that name the environment's Python by its path in the build find it wherever they lie.

    uv writes such scripts anyway; pip, used by a postBuild, does not. No link that the repository's code may
    have left is followed, and no huge file read: this happens outside the sandbox.
    """
    folder = env / "bin"
    for script in [] if folder.is_symlink() else sorted(folder.iterdir()):
        status = script.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LONGEST_SCRIPT:
            continue
        first, newline, rest = script.read_bytes().partition(b"\n")
        if not any(first.startswith(f"#!{place}/bin/python".encode()) for place in built_at):
            continue
        # A shell reads the quoted line as a command, Python as a string.
        found = b'\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")"/python "$0" "$@"\n\' \'\'\''
        script.unlink()  # a hard link may lead to another image
        with script.open("xb") as file:
            file.write(b"#!/bin/sh\n" + found + newline + rest)
        script.chmod(stat.S_IMODE(status.st_mode))


def _new_sources(env: Path, base: Path | None) -> list[str]:
    """Without packages' own tests: nobody imports them, and of some packages they are half of all files."""
    written = [path for path in trees.changes(env, base).written if path.endswith(".py")]
    return [path for path in written if not {"tests", "test"} & set(path.split("/")) and "\n" not in path]
