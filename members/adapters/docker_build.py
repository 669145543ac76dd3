"""Builds with repo2docker on a container engine, port `Builder`: the order of the work; knows no step's details."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from members.adapters import repo2docker_command, trees
from members.adapters.build_step import Budget, StepFailed, step
from members.adapters.docker_build_engine import DockerCommand
from members.adapters.docker_build_limits import StepLimits
from members.adapters.docker_build_place import Place, place
from members.adapters.docker_build_watch import Watch, watched
from members.adapters.environment import SYSTEM_PATH
from members.adapters.git_checkout import require_allowed
from members.adapters.repo2docker_faults import judge
from members.adapters.repo2docker_log import LONGEST_LINE, Evidence, read
from members.core.facts import Note, Tell
from members.core.model import (
    BuildBroken,
    BuildFailed,
    BuildLine,
    Credentials,
    RegistryDown,
    Resolved,
)

_PACKAGE: Final = "jupyter-repo2docker"
_BUILDPACKS: Final = Path(__file__).parent.parent / "buildpacks" / "repo2docker_config.py"
_NO_LIMITS: Final = (
    "The memory and processes of builds' own steps are not limited: that takes root on the engine's machine, and "
    "control groups that can be written to"
)
_NOT_IN_TIME: Final = "The image was built, but the registry of images did not take it in time."


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """What builds may use.

    `timeout` s, `output` bytes of log and `disk` bytes of checkout are for a build; `memory` bytes, `pids` and
    `layer` bytes written for one of its steps; `concurrent` builds run at once. A git server or
    registry that does nothing for `silence` s is given up.
    """

    timeout: float
    output: int
    disk: int
    memory: int
    pids: int
    concurrent: int
    layer: int = 20 << 30
    silence: float = 120.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How every image of this member is made. `base_image` None is repo2docker's own."""

    buildpacks: Literal["stock", "venv"] = "stock"
    base_image: str | None = None
    appendix: str = ""
    repo2docker_args: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class GitAccess:
    """`credentials` by provider, as BinderHub writes them: `username=…\\npassword=…`, the backslash and n literal."""

    protocols: Sequence[str]
    file_roots: Sequence[Path] = ()
    credentials: Mapping[str, str] | None = None


async def _anonymous(image: str) -> Credentials | None:
    return None


class DockerBuilder:
    """Port `Builder`. Call `prepare` once before anything else."""

    def __init__(
        self,
        *,
        docker_host: str,
        docker_config: Path | None,
        state_dir: Path,
        push: bool,
        limits: BuildLimits,
        git: GitAccess,
        tell: Tell,
        recipe: Recipe = Recipe(),
        credentials: Callable[[str], Awaitable[Credentials | None]] = _anonymous,
    ) -> None:
        """`docker_config` is a folder with a config.json and cli-plugins, None is the docker command's own.

        Without `push` images stay on the engine. `credentials` tells what an image is pushed with; it may
        raise RegistryDown.
        """
        self._builds = state_dir / "builds"
        self._push = push
        self._limits = limits
        self._git = git
        self._tell = tell
        self._recipe = recipe
        self._credentials = credentials
        path = os.environ.get("PATH", SYSTEM_PATH)
        own = os.environ.get("DOCKER_CONFIG")
        config = docker_config or (Path(own) if own else Path.home() / ".docker")
        self._docker = DockerCommand(docker_host, config, path)
        self._engine_root: Path | None = None
        self._secret = secrets.token_bytes(16)
        self._steps = self._step_limits()

    def prepare(self) -> None:
        """Looks for the tools, and removes what a killed predecessor left. Blocks; raises BuildBroken."""
        if self._recipe.buildpacks == "venv" and self._recipe.base_image is None:
            raise BuildBroken("build.base_image: build.buildpacks venv needs an image to build on")
        if shutil.which("git") is None:
            raise BuildBroken("The git command was not found: install git.")
        self._engine_root = self._docker.require()
        try:
            trees.remove(self._builds)
            self._builds.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise BuildBroken(f"builds cannot be done in {self._builds}: {error}") from error
        self._steps = self._step_limits()
        if not self._steps.possible:
            self._tell(Note(_NO_LIMITS))

    def _step_limits(self) -> StepLimits:
        limits = self._limits
        return StepLimits(
            memory=limits.memory,
            pids=limits.pids,
            layer=limits.layer,
            steps=limits.concurrent,
            engine_root=self._engine_root,
        )

    def info(self) -> dict[str, object]:
        """`builder_info` of `/versions`, as BinderHub's own local builder has it."""
        return {"repo2docker-version": version(_PACKAGE)}

    async def build(self, source: Resolved, image: str) -> AsyncGenerator[BuildLine, None]:
        """As the port says. Everything the build started or wrote is gone when this ends, however it ends."""
        self._require_fetchable(source)
        credentials = await self._login(image)
        secret = (self._git.credentials or {}).get(source.provider) if source.is_git else None
        config = repo2docker_command.git_config(
            source.repo_url, self._git.protocols, with_credentials=secret is not None
        )
        made = place(
            self._builds, docker_config=self._docker.config, credentials=credentials, git_config=config
        )
        async with made as here, aclosing(self._run(source, image, here, secret)) as lines:
            async for line in lines:
                yield line

    async def _run(
        self, source: Resolved, image: str, here: Place, secret: str | None
    ) -> AsyncGenerator[BuildLine, None]:
        limits = self._limits
        budget = Budget.starting_now(seconds=limits.timeout, output=limits.output)
        watch = Watch(
            here.root,
            disk=limits.disk,
            silence=limits.silence,
            engine_root=self._engine_root,
            each_look=self._steps.hold,
        )
        evidence = Evidence()
        argv, variables = self._argv(source, image, here), self._environment(source, here, secret)
        texts = step(argv, variables, budget, longest=LONGEST_LINE)
        try:
            async with aclosing(texts), aclosing(watched(texts, watch.run())) as lines:
                async for text in lines:
                    line = read(repo2docker_command.without_cache_space(here.told(text)))
                    if not evidence.add(line):
                        yield line
                    watch.heard(building=evidence.building, pushing=evidence.pushing)
        except BuildFailed as error:
            if evidence.pushing:  # the repository had done its part by then
                raise BuildBroken(_NOT_IN_TIME) from error
            raise
        except StepFailed as error:
            raise await self._fault(evidence, error.status, watch) from error

    def _argv(self, source: Resolved, image: str, here: Place) -> list[str]:
        recipe = self._recipe
        arguments = repo2docker_command.arguments(
            source,
            image,
            appendix=recipe.appendix,
            push=self._push,
            extra=recipe.repo2docker_args,
        )
        return repo2docker_command.command(
            arguments, parent=os.getpid(), workdir=here.work, memory=self._limits.memory
        )

    def _environment(self, source: Resolved, here: Place, secret: str | None) -> dict[str, str]:
        recipe = self._recipe
        return repo2docker_command.environment(
            os.environ,
            root=here.root,
            docker_host=self._docker.host,
            is_git=source.is_git,
            git_credentials=secret,
            buildpacks=_BUILDPACKS if recipe.buildpacks == "venv" else None,
            base_image=recipe.base_image,
            cache_space=hmac.new(self._secret, source.repo_url.encode(), "sha256").hexdigest()[:32],
        )

    def _require_fetchable(self, source: Resolved) -> None:
        if source.repo_url.startswith("-"):
            raise BuildFailed(f"{source.repo_url!r} is no repository.")
        if source.is_git:
            require_allowed(source.repo_url, self._git.protocols, self._git.file_roots)

    async def _login(self, image: str) -> Credentials | None:
        if not self._push:
            return None
        try:
            return await self._credentials(image)
        except RegistryDown as error:
            raise BuildBroken(f"Nothing can be built, because images cannot be stored: {error}") from error

    async def _fault(self, evidence: Evidence, status: int, watch: Watch) -> BuildFailed | BuildBroken:
        """Whose fault a failed build is. What can be looked at is looked at before any message is believed."""
        if not await asyncio.to_thread(self._docker.answers):
            return BuildBroken("The container engine of this member does not answer any more.")
        if full := watch.full():
            return BuildBroken(full)
        return judge(evidence, status, base_image=self._recipe.base_image)
