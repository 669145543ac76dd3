"""Small repositories, a tiny image to build them on, and builders for them."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from engine_stage import Engine

from members.adapters.docker_build import BuildLimits, DockerBuilder, GitAccess, Recipe
from members.core.facts import Fact
from members.core.model import BuildLine, Credentials, Resolved

TINY = "tiny-base:test"
LABEL = "repo2docker.repo"
SHA = "667bf925d2cfa8ae028163f23ff103873c6f6ef5"
_PROGRAMS = ("sh", "cat", "sleep", "head", "tail", "tr", "yes", "echo", "ls", "dd", "test")
USUAL = BuildLimits(timeout=240, output=20_000_000, disk=200_000_000, memory=1 << 30, pids=300, concurrent=2)


def load_tiny(engine: Engine) -> str:
    """An image of a shell and a few programs of this machine: some MB, so that builds and pushes are quick."""
    paths: set[Path] = set()
    for name in _PROGRAMS:
        program = shutil.which(name)
        assert program is not None
        paths.add(Path(program))
        linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        paths.update(Path(word) for word in linked.split() if word.startswith("/"))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(paths):
            info = tarfile.TarInfo(f"bin/{path.name}" if "bin" in path.parts else str(path).lstrip("/"))
            content = path.resolve().read_bytes()
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    command = ["docker", "import", "--change", "ENV PATH=/bin", "-", TINY]
    subprocess.run(command, input=archive.getvalue(), env=engine.environment, check=True, capture_output=True)
    return TINY


def git(folder: Path, *arguments: str) -> str:
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    return subprocess.run(
        [*argv, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@dataclass
class Workshop:
    """Repositories below `folder`, and builders on one engine whose state lies there too."""

    engine: Engine
    folder: Path
    facts: list[Fact] = field(default_factory=list)

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    def repository(self, files: Mapping[str, str | bytes], *, name: str = "repo") -> Resolved:
        """A new commit with these files."""
        folder = self.folder / "repositories" / name
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", "main")
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
        return self.commit(folder)

    def commit(self, folder: Path) -> Resolved:
        git(folder, "add", "--all")
        git(folder, "commit", "-q", "--allow-empty", "-m", "x")
        return source(f"file://{folder}", git(folder, "rev-parse", "HEAD"))

    def dockerfile(self, *steps: str) -> Resolved:
        """A repository whose Dockerfile has these RUN steps, on the tiny image."""
        return self.repository(
            {"Dockerfile": "\n".join([f"FROM {TINY}", *(f"RUN {step}" for step in steps)])}
        )

    def builder(
        self,
        *,
        limits: BuildLimits = USUAL,
        push: bool = False,
        recipe: Recipe | None = None,
        credentials: Credentials | None = None,
        protocols: Sequence[str] = ("file", "http", "git"),
        git_credentials: Mapping[str, str] | None = None,
    ) -> DockerBuilder:
        async def login(image: str) -> Credentials | None:
            return credentials

        builder = DockerBuilder(
            docker_host=self.engine.host,
            docker_config=self.engine.docker_config,
            state_dir=self.state_dir,
            push=push,
            limits=limits,
            git=GitAccess(protocols, (self.folder / "repositories",), git_credentials),
            tell=self.facts.append,
            recipe=recipe or Recipe(),
            credentials=login,
        )
        builder.prepare()
        return builder

    def left_over(self) -> list[Path]:
        """What builds left behind in the state folder."""
        return list((self.state_dir / "builds").iterdir())


def source(url: str, ref: str, *, is_git: bool = True) -> Resolved:
    return Resolved("git", f"{url}/{ref}", url, ref, url, f"{url}/{ref}", url, is_git)


async def built(builder: DockerBuilder, source: Resolved, image: str) -> list[BuildLine]:
    """Every line of a build. Raises as the build does."""
    async with aclosing(builder.build(source, image)) as lines:
        return [line async for line in lines]


def running(marker: str) -> list[str]:
    """The command lines, on the whole machine, that have `marker` in them."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if marker in command:
            found.append(command)
    return found
