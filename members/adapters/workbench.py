"""The folder of one build and the commands that work in it; knows nothing of git, uv and recipes."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from members.adapters import trees
from members.adapters.build_step import Budget, step
from members.adapters.environment import SYSTEM_PATH, mounts_for, passed_on
from members.adapters.sandbox import ENVIRONMENT, HOME, Limits, Mount, inside, wrap
from members.core.model import BuildBroken, Isolation


@dataclass(frozen=True, slots=True)
class Fence:
    """How every command of every build is fenced in."""

    isolation: Isolation
    limits: Limits


@dataclass(frozen=True, slots=True)
class Workbench:
    """One build's place: `tree` becomes the image (`env/`, `home/`), `tmp` is its /tmp."""

    root: Path
    fence: Fence
    budget: Budget

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    @property
    def env(self) -> Path:
        return self.tree / "env"

    @property
    def home(self) -> Path:
        return self.tree / "home"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    def mounts(self, *more: Mount) -> tuple[Mount, ...]:
        """Home, environment and /tmp, which are writable, then `more`."""
        own = (Mount(self.home, HOME, True), Mount(self.tmp, Path("/tmp"), True))
        env = (Mount(self.env, ENVIRONMENT, True),) if self.env.is_dir() else ()
        return (*own, *env, *more)

    def seen(self, path: Path, *more: Mount) -> str:
        """How a command run with `more` sees `path`."""
        return str(inside(self.fence.isolation, path, self.mounts(*more)))

    async def run(
        self, argv: Sequence[str], *more: Mount, variables: Mapping[str, str] | None = None
    ) -> AsyncGenerator[str, None]:
        """Runs a command in the repository's folder and tells its lines.

        Raises what `build_step.step` raises.
        """
        environment = {**self._variables(*more), **(variables or {})}
        mounts = self.mounts(*mounts_for(environment), *more)
        home = inside(self.fence.isolation, self.home, mounts)
        wrapped = wrap(self.fence.isolation, argv, mounts=mounts, workdir=home, limits=self.fence.limits)
        async with aclosing(step(wrapped, environment, self.budget)) as lines:
            async for line in lines:
                yield line

    def _variables(self, *more: Mount) -> dict[str, str]:
        env, home, tmp = (self.seen(path, *more) for path in (self.env, self.home, self.tmp))
        return {
            **passed_on(os.environ),
            "PATH": f"{env}/bin:{SYSTEM_PATH}",
            "HOME": home,
            "TMPDIR": tmp,
            "XDG_CACHE_HOME": f"{tmp}/cache",  # caches would only make the image larger
            "USER": "jovyan",
            "LOGNAME": "jovyan",
            "SHELL": "/bin/bash",
            "NO_COLOR": "1",
        }


@asynccontextmanager
async def workbench(folder: Path, fence: Fence, budget: Budget) -> AsyncIterator[Workbench]:
    """A new workbench below `folder`, removed at the end. Raises BuildBroken when it cannot be made."""
    bench = Workbench(folder / uuid.uuid4().hex[:12], fence, budget)
    try:
        await asyncio.to_thread(_make, bench)
        yield bench
    except OSError as error:
        raise BuildBroken(f"The build could not be carried out: {error}") from error
    finally:
        await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(trees.remove, bench.root)))


def _make(bench: Workbench) -> None:
    bench.root.mkdir(parents=True, mode=0o700)
    for path in (bench.home, bench.tmp):
        path.mkdir(parents=True)
