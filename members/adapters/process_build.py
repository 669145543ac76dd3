"""Builds without containers, port `Builder`: the order of the work; knows no step's details."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.metadata import version
from pathlib import Path
from typing import Final

import uv

from members.adapters import base_image, interpreters, trees, uv_install
from members.adapters.base_image import BaseImage
from members.adapters.blocking import blocking
from members.adapters.build_step import Budget, StepFailed
from members.adapters.git_checkout import Git
from members.adapters.interpreters import Interpreter
from members.adapters.oci_layout import PYTHON_LABEL, START_LABEL, OciLayoutStore
from members.adapters.sandbox import ENVIRONMENT, HOME, Limits
from members.adapters.uv_install import InstallFailed, NeedsSource, NoNetwork, Uv
from members.adapters.workbench import Fence, Workbench, workbench
from members.core.model import (
    BeyondMember,
    BuildBroken,
    BuildFailed,
    BuildLine,
    Isolation,
    LaunchFailed,
    Resolved,
)
from members.core.recipe import FOLDERS, Recipe, RecipeError, Unsupported, recipe, texts_wanted

_LONGEST_TEXT: Final = 1_000_000  # bytes of a configuration file that is read
_FULL: Final = 32 << 20  # bytes; with less space left a failure is the member's own
_BASE_SECONDS: Final = 15 * 60.0  # the base environment is not on the repository's account


class ProcessBuilder:
    """Port `Builder`. Call `prepare` once before anything else; `warm` may run in the background."""

    def __init__(
        self,
        *,
        state_dir: Path,
        cache_dir: Path,
        store: OciLayoutStore,
        isolation: Isolation,
        timeout: float,
        memory: int,
        output: int,
        disk: int,
        git_protocols: Sequence[str],
        file_roots: Sequence[Path],
    ) -> None:
        """`timeout` s and `output` bytes of log are for a build, `memory` bytes of address space for
        each of its processes and `disk` bytes for each of its files.

        `cache_dir` may be shared with other members: it holds what uv has downloaded.
        """
        self._state_dir = state_dir
        self._builds = state_dir / "builds"
        self._store = store
        self._fence = Fence(isolation, Limits(memory=memory, file_size=disk))
        self._timeout = timeout
        self._output = output
        self._git = Git(tuple(git_protocols), tuple(file_roots))
        self._uv = Uv(Path(uv.find_uv_bin()), cache_dir / "uv")
        self._base = BaseImage(store=store, uv=self._uv)
        self._interpreters: dict[str | None, Interpreter] = {}

    def prepare(self) -> None:
        """Makes the folder of builds and removes what a killed predecessor left there. Raises BuildBroken."""
        try:
            trees.remove(self._builds)
            self._builds.mkdir(parents=True)
        except OSError as error:
            raise BuildBroken(f"builds cannot be done in {self._builds}: {error}") from error

    def info(self) -> dict[str, object]:
        """`builder_info` of `/versions`."""
        return {"builder": "process", "uv-version": version("uv"), "isolation": str(self._fence.isolation)}

    async def warm(self) -> AsyncGenerator[str, None]:
        """Makes what every build needs, once: the base image for the default interpreter.

        Raises BuildBroken.
        """
        async with aclosing(self._make_base(await self._interpreter(None))) as lines:
            async for line in lines:
                yield line

    async def build(self, source: Resolved, image: str) -> AsyncGenerator[BuildLine, None]:
        """As the port says. Everything the build started or wrote is gone when this ends, however it ends."""
        if not source.is_git:
            raise BeyondMember(
                f"{source.repo_url} is not a git repository, and this member's process runtime fetches nothing "
                "else. A member with the docker runtime can build it."
            )
        budget = Budget.starting_now(seconds=self._timeout, output=self._output)
        async with workbench(self._builds, self._fence, budget) as bench:
            try:
                async with aclosing(self._work(source, image, bench)) as lines:
                    async for line in lines:
                        yield line
            except LaunchFailed as error:
                raise BuildBroken(str(error)) from error
            except BeyondMember:
                raise
            except (RecipeError, StepFailed, BuildFailed) as error:
                if shutil.disk_usage(bench.root).free < _FULL:
                    raise BuildBroken(f"The disk of this member is full. ({error})") from error
                raise BuildFailed(str(error)) from error

    async def _work(self, source: Resolved, image: str, bench: Workbench) -> AsyncGenerator[BuildLine, None]:
        async with aclosing(self._git.checkout(bench, source.repo_url, source.ref)) as fetched:
            async for line in fetched:
                yield line
        wanted = await asyncio.to_thread(_read_recipe, bench.home)
        if isinstance(wanted, Unsupported):
            raise BeyondMember(wanted.message)
        if wanted.project:
            async with aclosing(self._git.history(bench)) as fetched:
                async for line in fetched:
                    yield line
        python = await self._interpreter(wanted.python)
        yield BuildLine(f"Using {python.name} ({python.path}) with uv\n")
        async with aclosing(self._make_base(python)) as lines:
            async for text in lines:
                yield BuildLine(text)
        base = base_image.image_name(python)
        async with aclosing(self._assemble(wanted, bench, self._store.place(base))) as lines:
            async for text in lines:
                yield BuildLine(text)
        yield BuildLine("Storing the image in the shared folder\n", "pushing")
        labels = {
            PYTHON_LABEL: str(python.path),
            "repo2docker.repo": source.repo_url,
            "repo2docker.ref": source.ref,
        }
        if wanted.start is not None:
            labels[START_LABEL] = wanted.start
        async with bench.budget.limit():
            size = await self._store.put(image, bench.tree, base=base, labels=labels)
        yield BuildLine(f"Stored {size / 1e6:.1f} MB beside the base environment\n", "pushing")

    async def _assemble(self, wanted: Recipe, bench: Workbench, base: Path) -> AsyncGenerator[str, None]:
        """Environment and home as the recipe says, from the base's environment."""
        env = base / "env"
        runs_code = wanted.project or wanted.post_build is not None
        # Without a sandbox the sessions of an image can write to it: then it may share no file either.
        shared = not runs_code and self._fence.isolation is Isolation.BUBBLEWRAP
        async with bench.budget.limit():
            await blocking(trees.link if shared else trees.copy, env, bench.env)
        if wanted.requirements or wanted.project:
            async with aclosing(self._install(wanted, bench, env)) as lines:
                async for line in lines:
                    yield line
        if wanted.post_build is not None:
            async with aclosing(_post_build(wanted.post_build, bench)) as lines:
                async for line in lines:
                    yield line
        if not wanted.plain:
            await asyncio.to_thread(trees.drop_special, bench.tree)
            await asyncio.to_thread(uv_install.use_own_python, bench.env, (str(ENVIRONMENT), str(bench.env)))
            await uv_install.compile_new(bench, env)

    async def _install(self, wanted: Recipe, bench: Workbench, base: Path) -> AsyncGenerator[str, None]:
        """Base and repository in one resolution: what contradicts the base is an error at once."""
        asked = ["-r", self._uv.base(bench, "requirements.in")]
        for path in wanted.requirements:
            asked += ["-r", path]
        try:
            if not wanted.project:
                try:
                    async with aclosing(self._wheels(bench, *asked)) as lines:
                        async for line in lines:
                            yield line
                    return
                except NeedsSource:
                    yield "Some packages must be built from source\n"
                    await asyncio.to_thread(trees.remove, bench.env)
                    async with bench.budget.limit():
                        await blocking(trees.copy, base, bench.env)
            project = [str(HOME) if self._fence.isolation is Isolation.BUBBLEWRAP else str(bench.home)]
            asked += project if wanted.project else []
            async with aclosing(self._uv.install_any(bench, *asked)) as lines:
                async for line in lines:
                    yield line
        except InstallFailed as error:
            files = " and ".join([*wanted.requirements, *(["the project"] if wanted.project else [])])
            raise BuildFailed(
                f"{files} could not be installed: uv's reasons are in the log above."
            ) from error
        except NoNetwork as error:
            raise BuildBroken("The package index could not be reached from this member.") from error

    async def _wheels(self, bench: Workbench, *asked: str) -> AsyncGenerator[str, None]:
        """Asks the index for current versions; without network what the cache knows has to do."""
        try:
            async with aclosing(self._uv.install_wheels(bench, *asked)) as lines:
                async for line in lines:
                    yield line
        except NoNetwork:
            yield "The package index could not be reached: trying with what is cached\n"
            async with aclosing(self._uv.install_wheels(bench, "--offline", *asked)) as lines:
                async for line in lines:
                    yield line

    async def _make_base(self, python: Interpreter) -> AsyncGenerator[str, None]:
        budget = Budget.starting_now(seconds=_BASE_SECONDS, output=self._output)
        async with workbench(self._builds, self._fence, budget) as bench:
            try:
                async with aclosing(self._base.ensure(python, bench)) as lines:
                    async for line in lines:
                        yield line
            except (BuildFailed, LaunchFailed) as error:
                raise BuildBroken(f"The base environment could not be made: {error}") from error

    async def _interpreter(self, request: str | None) -> Interpreter:
        if request not in self._interpreters:
            found = await asyncio.to_thread(interpreters.find, self._uv.program, request)
            if found is None and request is None:
                raise BuildBroken(f"This machine has no Python {interpreters.DEFAULT}")
            if found is None:
                there = ", ".join(await asyncio.to_thread(interpreters.versions, self._uv.program))
                raise BeyondMember(
                    f"The repository asks for Python {request}, which this member does not have. "
                    f"It has {there}. A member with the docker runtime can build this repository."
                )
            self._interpreters[request] = found
        return self._interpreters[request]


async def _post_build(script: str, bench: Workbench) -> AsyncGenerator[str, None]:
    yield f"Running {script}\n"
    env = bench.seen(bench.env)
    variables = {
        "VIRTUAL_ENV": env,
        "NB_PYTHON_PREFIX": env,
        "KERNEL_PYTHON_PREFIX": env,
        "REPO_DIR": bench.seen(bench.home),
        "NB_USER": "jovyan",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    # Through a shell, which also runs a script that does not say what shall run it.
    argv = ["sh", "-c", 'chmod +x "./$1" && "./$1"', "sh", script]
    try:
        async with aclosing(bench.run(argv, variables=variables)) as lines:
            async for line in lines:
                yield line
    except StepFailed as error:
        raise BuildFailed(f"{script} failed with exit status {error.status}.") from error


def _read_recipe(home: Path) -> Recipe | Unsupported:
    """The recipe of a checkout. Configuration that is a link is not followed out of the repository."""
    names = []
    for folder in ("", *FOLDERS):
        if (home / folder).is_dir() and not (folder and (home / folder).is_symlink()):
            names += [folder + entry.name for entry in (home / folder).iterdir() if entry.is_file()]
    texts = {}
    for name in texts_wanted(names):
        path = (home / name).resolve()
        if not path.is_relative_to(home.resolve()):
            raise RecipeError(f"{name} is a link that leads out of the repository")
        with path.open("rb") as file:
            texts[name] = re.sub(r"^\ufeff", "", file.read(_LONGEST_TEXT).decode("utf-8", "replace"))
    return recipe(names, texts)
