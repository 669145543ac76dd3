"""Makes git repositories of folders, the same commit for the same files. Knows no URL and no provider."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

_BRANCH = "refs/heads/main"
_IGNORED = ".ipynb_checkpoints/\n__pycache__/\n.DS_Store\n"
# Everything a commit's name is made of besides its files. A fixed date keeps the name, and with it the image.
_SIGNATURE = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "Binder Federation"),
        ("EMAIL", "examples@binder.invalid"),
        ("DATE", "2026-01-01T00:00:00+00:00"),
    )
}
_NOTHING: Mapping[str, str] = {}
_TIME_LIMIT = 60  # seconds for one git command over a handful of small files


class RepositoryError(Exception):
    """git is missing or failed; the message says which folder and what git said."""


def publish(source: Path, repository: Path) -> str:
    """Brings the bare repository's branch `main` to the folder's present files; returns the commit.

    Nothing is written when they are already the same. Raises RepositoryError.
    """
    if not source.is_dir():
        raise RepositoryError(f"{source}: no such folder")
    git = _Git(source, repository)
    if not (repository / "HEAD").exists():
        git.run("init", "--bare", "--quiet", "--initial-branch=main", str(repository), bound=False)
    (repository / "info").mkdir(exist_ok=True)
    (repository / "info" / "exclude").write_text(_IGNORED)
    with tempfile.TemporaryDirectory(prefix="index-", dir=repository) as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git.run("add", "--all", ".", env=index)
        tree = git.run("write-tree", env=index)
    if git.run("rev-parse", "--quiet", "--verify", f"{_BRANCH}^{{tree}}", may_fail=True) == tree:
        return git.run("rev-parse", _BRANCH)
    commit = git.run("commit-tree", tree, "-m", f"Example: {source.name}")
    git.run("update-ref", _BRANCH, commit)
    return commit


class _Git:
    """git bound to one work tree and one repository, deaf to the user's and the machine's configuration."""

    def __init__(self, source: Path, repository: Path) -> None:
        self._source = source
        self._bound = (f"--git-dir={repository}", f"--work-tree={source}")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self._env = kept | _SIGNATURE | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] = _NOTHING,
        bound: bool = True,
        may_fail: bool = False,
    ) -> str:
        argv = ["git", *(self._bound if bound else ()), "-c", "core.autocrlf=false", *arguments]
        try:
            done = subprocess.run(
                argv,
                cwd=self._source,
                env={**self._env, **env},
                capture_output=True,
                text=True,
                timeout=_TIME_LIMIT,
                check=False,
            )
        except FileNotFoundError:
            raise RepositoryError("git is not installed: examples are served as git repositories") from None
        except subprocess.TimeoutExpired:
            raise RepositoryError(f"{self._source}: git {arguments[0]} took over {_TIME_LIMIT} s") from None
        if done.returncode != 0 and not may_fail:
            raise RepositoryError(f"{self._source}: git {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout.strip()
