"""Small real repositories, packages and members for the tests of builds."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from members.adapters import sandbox, trees
from members.adapters.oci_layout import OciLayoutStore, unpacked_path
from members.adapters.process_build import ProcessBuilder
from members.adapters.sandbox import ENVIRONMENT, HOME, Limits, Mount, inside, wrap
from members.core.model import BuildLine, Isolation, Resolved

HAVE_BUBBLEWRAP = sandbox.detect("auto") is Isolation.BUBBLEWRAP
ISOLATIONS = [Isolation.NONE, *([Isolation.BUBBLEWRAP] if HAVE_BUBBLEWRAP else [])]
SAFEST = ISOLATIONS[-1]

# A build backend inside its own package: a source package that can be built without any other package.
BACKEND = """
import base64, hashlib, os, zipfile

def build_wheel(directory, settings=None, metadata=None):
    exec(open("at_build.py").read()) if os.path.exists("at_build.py") else None
    name = "{name}-1.0-py3-none-any.whl"
    files = {{
        "{name}.py": "answer = 42\\n",
        "{name}-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n",
        "{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    record = "".join(f"{{path}},,\\n" for path in files) + "{name}-1.0.dist-info/RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr("{name}-1.0.dist-info/RECORD", record)
    return name
"""
PYPROJECT = """
[project]
name = "{name}"
version = "1.0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def project(name: str) -> dict[str, str]:
    """The files of a project that builds itself with no other package's help."""
    return {"pyproject.toml": PYPROJECT.format(name=name), "backend.py": BACKEND.format(name=name)}


def wheel(folder: Path, name: str, version: str, code: str = "", requires: str = "") -> None:
    """A wheel of one module."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": code or f"version = {version!r}\n",
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")


def git(folder: Path, *arguments: str) -> str:
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    return subprocess.run(
        [*argv, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def repository(folder: Path, files: Mapping[str, str]) -> Resolved:
    """A new commit with exactly these files in the repository `folder`, made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "a commit")
    return resolved(f"file://{folder}", git(folder, "rev-parse", "HEAD"))


def resolved(url: str, commit: str) -> Resolved:
    return Resolved("git", f"{url}/{commit}", url, commit, url, f"{url}/{commit}", url)


@dataclass(frozen=True)
class Member:
    """One member's state and its share of the machine's store, cache and repositories."""

    root: Path
    name: str
    isolation: Isolation

    @property
    def state(self) -> Path:
        return self.root / self.name

    @property
    def repositories(self) -> Path:
        return self.root / "repositories"

    def store(self) -> OciLayoutStore:
        spread = trees.link if self.isolation is Isolation.BUBBLEWRAP else trees.copy
        store = OciLayoutStore(folder=self.root / "store", state_dir=self.state, spread=spread)
        store.prepare()
        return store

    def builder(
        self, *, timeout: float = 300, output: int = 10_000_000, memory: int = 4 << 30
    ) -> ProcessBuilder:
        self.repositories.mkdir(exist_ok=True)
        builder = ProcessBuilder(
            state_dir=self.state,
            cache_dir=self.root / "cache",
            store=self.store(),
            isolation=self.isolation,
            timeout=timeout,
            memory=memory,
            output=output,
            disk=1 << 30,
            git_protocols=("http", "https", "file"),
            file_roots=(self.repositories,),
        )
        builder.prepare()
        return builder

    def left_over(self) -> list[Path]:
        return [*(self.state / "builds").iterdir(), *(self.state / "unpacking").iterdir()]

    def run(self, image: str, *argv: str) -> str:
        """What a program of the environment prints in a session: the environment read-only, home not."""
        here = unpacked_path(self.state, image)
        mounts = (Mount(here / "env", ENVIRONMENT), Mount(here / "home", HOME, True))
        program = inside(self.isolation, here / "env" / "bin" / argv[0], mounts)
        home = inside(self.isolation, here / "home", mounts)
        command = wrap(
            self.isolation, [str(program), *argv[1:]], mounts=mounts, workdir=home, limits=Limits()
        )
        variables = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


async def built(
    builder: ProcessBuilder, source: Resolved, image: str, log: list[BuildLine] | None = None
) -> str:
    """Builds, collecting the lines in `log`; returns the whole text."""
    lines: list[BuildLine] = log if log is not None else []
    async with aclosing(builder.build(source, image)) as told:
        async for line in told:
            lines.append(line)  # noqa: PERF401 - a build that fails must leave the lines it told
    return "".join(line.message for line in lines)


def new(member: Member, image: str, files: Mapping[str, str]) -> Resolved:
    """A repository of its own for each image and isolation."""
    return repository(member.repositories / f"{image.split(':')[0]}-{member.isolation}", files)
