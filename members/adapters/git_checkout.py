"""Exactly one commit of a git repository, in a build's home folder; knows no providers."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from members.adapters.build_step import StepFailed
from members.adapters.environment import GIT_ALONE
from members.adapters.sandbox import HOME, Mount
from members.adapters.workbench import Workbench
from members.core.model import BuildBroken, BuildFailed, BuildLine, Isolation

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

# One commit without history is enough for most; a server that refuses to give a commit which is no tip of a
# branch is asked for everything. `git reset` says where HEAD is, as repo2docker's log does.
_FETCH = """
git init --quiet --template= .
git remote add -- origin "$1"
git fetch --quiet --depth 1 --no-tags -- origin "$2" 2>/dev/null ||
    git fetch --quiet --tags -- origin '+refs/heads/*:refs/remotes/origin/*'
git reset --hard "$2" --
"""
_SUBMODULES = """
git submodule update --init --recursive --quiet --depth 1 2>/dev/null ||
    git submodule update --init --recursive
"""
# Tools that take a package's version from tags (setuptools-scm, versioneer) need the history.
_HISTORY = "if [ -f .git/shallow ]; then git fetch --quiet --unshallow --tags origin; fi"

# The repository may belong to another user of the machine; file:// ones lie under folders the operator named.
_CONFIG = "[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
_UNREACHABLE = re.compile(
    r"could not resolve host|couldn't resolve host|failed to connect|connection timed out|connection refused"
    r"|network is unreachable|temporary failure in name resolution|the requested url returned error: 5\d\d",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Git:
    """What git may do: `protocols` by git's names, `file_roots` the folders that file:// may lead to."""

    protocols: Sequence[str]
    file_roots: Sequence[Path]

    async def checkout(self, bench: Workbench, url: str, commit: str) -> AsyncGenerator[BuildLine, None]:
        """Puts the commit into the bench's home. Raises BuildFailed or BuildBroken."""
        if not _COMMIT.fullmatch(commit):
            raise BuildBroken(f"{commit!r} is no full git commit")
        require_allowed(url, self.protocols, self.file_roots)
        yield BuildLine("Picked Git content provider.\n", None)
        yield BuildLine(f"Cloning into '{HOME}'...\n", "fetching")
        (bench.tmp / "gitconfig").write_text(_CONFIG, encoding="utf-8")
        async with aclosing(self._run(bench, _FETCH, url, commit)) as lines:
            async for line in lines:
                yield line
        if (bench.home / ".gitmodules").is_file():
            yield BuildLine("Fetching submodules...\n", "fetching")
            async with aclosing(self._run(bench, _SUBMODULES)) as lines:
                async for line in lines:
                    yield line

    async def history(self, bench: Workbench) -> AsyncGenerator[BuildLine, None]:
        """Adds the history and tags to a checkout that has only its commit."""
        async with aclosing(self._run(bench, _HISTORY)) as lines:
            async for line in lines:
                yield line

    async def _run(self, bench: Workbench, script: str, *arguments: str) -> AsyncGenerator[BuildLine, None]:
        roots = tuple(Mount(root.resolve(), root.resolve()) for root in self.file_roots if root.is_dir())
        argv = ["sh", "-e", "-c", script, "sh", *arguments]
        variables = self._variables(bench, submodules=script is _SUBMODULES)
        try:
            async with aclosing(bench.run(argv, *roots, variables=variables)) as lines:
                async for line in lines:
                    yield BuildLine(line, "fetching")
        except StepFailed as error:
            if _UNREACHABLE.search(error.text):
                raise BuildBroken("The repository's server could not be reached.") from error
            raise BuildFailed(
                "The repository could not be fetched: git failed, see the log above."
            ) from error

    def _variables(self, bench: Workbench, *, submodules: bool) -> dict[str, str]:
        """Git that asks nobody, runs no hook of this machine and speaks only the allowed protocols.

        Without a sandbox a submodule could name any repository of this machine: those are then not followed.
        """
        hidden = bench.fence.isolation is Isolation.BUBBLEWRAP
        protocols = [name for name in self.protocols if name != "file" or hidden or not submodules]
        return {
            "GIT_ALLOW_PROTOCOL": ":".join(protocols),
            **GIT_ALONE,
            "GIT_CONFIG_GLOBAL": bench.seen(bench.tmp / "gitconfig"),
        }


def require_allowed(url: str, protocols: Sequence[str], file_roots: Sequence[Path]) -> None:
    """A second look: providers check URLs too, but this is where one would do harm. Raises BuildFailed."""
    parts = urlsplit(url)
    if parts.scheme not in protocols or "::" in url.partition("//")[0]:
        raise BuildFailed(f"{url!r} cannot be fetched: {', '.join(protocols)} are allowed here.")
    if parts.scheme != "file":
        return
    path = Path(unquote(parts.path)).resolve()
    if not any(path.is_relative_to(root.resolve()) for root in file_roots):
        raise BuildFailed(f"{url!r} is not a repository that this member may open.")
