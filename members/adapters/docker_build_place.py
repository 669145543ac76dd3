"""The folder of one build with repo2docker, which nobody else can read; knows nothing of what runs in it."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from members.adapters import trees
from members.core.model import BuildBroken, Credentials

_TOKEN: Final = "<token>"  # the user name that says the password is an identity token
_PASSED_ON: Final = ("proxies",)  # keys of the operator's config.json that concern builds, and are no secret


@dataclass(frozen=True, slots=True)
class Place:
    """`tmp` is the build's TMPDIR, where repo2docker clones to; `work` is the folder it is started in."""

    root: Path

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    @property
    def work(self) -> Path:
        return self.root / "work"

    def told(self, message: str) -> str:
        """A line without where this member keeps its builds: it reads as from a build pod."""
        return message.replace(str(self.tmp), "/tmp").replace(str(self.root), "/tmp")


@asynccontextmanager
async def place(
    folder: Path, *, docker_config: Path, credentials: Credentials | None, git_config: str
) -> AsyncIterator[Place]:
    """A new place below `folder`, removed at the end. Raises BuildBroken when it cannot be made.

    `docker_config` is the operator's, whose plugins are used; of its contents no credentials are taken.
    """
    made = Place(folder / uuid.uuid4().hex[:12])
    try:
        await asyncio.to_thread(_make, made, docker_config, credentials, git_config)
        yield made
    except OSError as error:
        raise BuildBroken(f"The build could not be carried out: {error}") from error
    finally:
        await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(trees.remove, made.root)))


def _make(made: Place, docker_config: Path, credentials: Credentials | None, git_config: str) -> None:
    made.root.mkdir(parents=True, mode=0o700)
    for name in ("tmp", "work", "home", "docker"):
        (made.root / name).mkdir(mode=0o700)
    (made.root / "gitconfig").write_text(git_config, encoding="utf-8")
    config = made.root / "docker" / "config.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps(_docker_config(docker_config, credentials)), encoding="utf-8")
    plugins = docker_config / "cli-plugins"
    if plugins.is_dir():
        (made.root / "docker" / "cli-plugins").symlink_to(plugins.resolve())


def _docker_config(operators: Path, credentials: Credentials | None) -> dict[str, object]:
    """What the docker command may know: the one login that this build pushes with, and the proxies.

    The operator's other logins stay away: with them, any repository could build on the operator's private images.
    """
    config: dict[str, object] = {}
    try:
        given = json.loads((operators / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        given = None
    if isinstance(given, dict):
        config = {key: given[key] for key in _PASSED_ON if key in given}
    if credentials is not None:
        config["auths"] = {credentials.registry: _login(credentials)}
    return config


def _login(credentials: Credentials) -> dict[str, str]:
    if credentials.username == _TOKEN:
        return {"identitytoken": credentials.password}
    pair = f"{credentials.username}:{credentials.password}".encode()
    return {"auth": base64.b64encode(pair).decode("ascii")}
