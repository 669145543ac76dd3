"""How repo2docker is called: its command line, its environment, git's settings. Runs nothing itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from members.adapters.environment import GIT_ALONE, SYSTEM_PATH, passed_on
from members.adapters.sandbox import REAPER
from members.core.model import Resolved

HOST_CONFIG: Final = Path(__file__).with_name("repo2docker_host.py")
_CACHE_SPACE = re.compile(r"'--build-arg', 'BUILDKIT_CACHE_MOUNT_NS=\w*', ")
_GRACE = 5  # seconds from SIGTERM to SIGKILL
_STALLED = {"GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": "60"}  # bytes/s, s

# The repository may belong to another user of the machine; file:// ones lie under folders the operator named.
_GIT_CONFIG = "[safe]\n\tdirectory = *\n[advice]\n\tdetachedHead = false\n[protocol]\n\tallow = never\n"
# Git runs this with a shell; printf and not echo, of which not every shell's knows -e.
_HELPER = '!f() { test \\"$1\\" = get && printf \'%b\\\\n\' \\"$GIT_CREDENTIAL_ENV\\"; }; f'


def arguments(source: Resolved, image: str, *, appendix: str, push: bool, extra: Sequence[str]) -> list[str]:
    """BinderHub's command line (BINDER-PROTOCOL §6), which names no secret."""
    argv = [
        f"--ref={source.ref}",
        f"--image={image}",
        "--no-clean",
        "--no-run",
        "--json-logs",
        "--user-name=jovyan",
        "--user-id=1000",
    ]
    if appendix:
        argv += ["--appendix", appendix]
    if push:
        argv.append("--push")
    return [*argv, *extra, source.repo_url]


def command(arguments: Sequence[str], *, parent: int, workdir: Path, memory: int) -> list[str]:
    """The argv of a build that ends with process `parent`, and leaves no process behind.

    `memory` is bytes of data of each process; repo2docker holds a whole repository in its own.
    """
    reaper = [sys.executable, "-I", "-S", str(REAPER), "--parent", str(parent), "--grace", str(_GRACE)]
    limits = ["prlimit", "--core=0", f"--data={memory}", "--"]
    repo2docker = [sys.executable, "-I", "-m", "repo2docker", f"--config={HOST_CONFIG}"]
    return [*reaper, "--workdir", str(workdir), "--", *limits, *repo2docker, *arguments]


def environment(
    own: Mapping[str, str],
    *,
    root: Path,
    docker_host: str,
    is_git: bool,
    git_credentials: str | None,
    buildpacks: Path | None,
    base_image: str | None,
    cache_space: str,
) -> dict[str, str]:
    """Every variable of a build, made from scratch. `root` is the build's own folder.

    Builds share what their steps keep in caches if `cache_space` is the same.
    """
    variables = {
        **passed_on(own),
        "PATH": own.get("PATH", SYSTEM_PATH),
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "tmp"),
        "DOCKER_HOST": docker_host,
        "DOCKER_CONFIG": str(root / "docker"),
        "TRAITLETS_APPLICATION_RAISE_CONFIG_FILE_ERROR": "1",  # never without what repo2docker_host.py sets
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # a plain manifest, which every lookup understands
        **GIT_ALONE,
        **_STALLED,
        "GIT_CONFIG_GLOBAL": str(root / "gitconfig"),
        "BINDER_SOURCE": "git" if is_git else "data",
        "BINDER_CACHE_SPACE": cache_space,
    }
    if git_credentials is not None:
        variables["GIT_CREDENTIAL_ENV"] = git_credentials
    if buildpacks is not None:
        variables["BINDER_BUILDPACKS"] = str(buildpacks)
    if base_image is not None:
        variables["BINDER_BASE_IMAGE"] = base_image
    return variables


def without_cache_space(text: str) -> str:
    """repo2docker tells its whole command line when it fails; who knew this of a repository could fill its caches."""
    return _CACHE_SPACE.sub("", text)


def git_config(repo_url: str, protocols: Sequence[str], *, with_credentials: bool) -> str:
    """Git's settings of a build: only these protocols, and credentials for the repository's own server alone.

    `file` is for the repository that was asked for and never for its submodules, which could name any
    folder of this machine.
    """
    text = _GIT_CONFIG
    for name in protocols:
        text += f'[protocol "{name}"]\n\tallow = {"user" if name == "file" else "always"}\n'
    parts = urlsplit(repo_url)
    if with_credentials and parts.scheme == "https" and parts.hostname:
        server = f"https://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        text += f'[credential "{server}"]\n\thelper = "{_HELPER}"\n'
    return text
