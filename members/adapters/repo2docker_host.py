"""The configuration that repo2docker runs with on a member's host; repo2docker alone executes it.

In BinderHub's build pod there is nothing to see and nothing to reach but the repository. On a host there is,
so the content provider is the one that fits the launch, and links that lead out of a checkout are refused.
It stands alone: from the member it imports nothing, because repo2docker may run without the member's sources.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from repo2docker import contentproviders
from repo2docker.contentproviders.base import ContentProviderException

# What repo2docker itself opens, on this machine, and may quote in a message.
READ_HERE = frozenset(
    re.findall(
        r"\S+",
        """
    Dockerfile .dockerignore .containerignore environment.yml environment.yaml requirements.txt requirements3.txt
    Pipfile Pipfile.lock setup.py pyproject.toml runtime.txt apt.txt postBuild start install.R DESCRIPTION
    Project.toml JuliaProject.toml Manifest.toml REQUIRE default.nix binder .binder
        """,
    )
)
_DATA = ("Zenodo", "Figshare", "Dataverse", "Hydroshare", "CKAN")


def refuse_links(checkout: str) -> None:
    """Raises when a file that repo2docker reads is a link to a place outside of the checkout."""
    root = Path(checkout).resolve()
    for folder, folders, files in os.walk(checkout):
        if ".git" in folders:
            folders.remove(".git")
        for name in READ_HERE.intersection(folders + files):
            path = Path(folder, name)
            if path.is_symlink() and not _inside(path, root):
                raise ContentProviderException(
                    f"{path.relative_to(checkout)} is a link that leads out of the repository"
                )


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link to itself
        return False


def careful(provider: Any) -> Any:
    """The content provider, which refuses a checkout that would have repo2docker read this machine's files."""

    def fetch(self: Any, spec: object, output_dir: str, yield_output: bool = False) -> Iterator[str]:
        yield from provider.fetch(self, spec, output_dir, yield_output=yield_output)
        refuse_links(output_dir)

    return type(provider.__name__, (provider,), {"fetch": fetch})  # the log tells the class's name


def configure(config: Any) -> None:
    names = ("Git",) if os.environ["BINDER_SOURCE"] == "git" else _DATA
    config.Repo2Docker.content_providers = [careful(getattr(contentproviders, name)) for name in names]
    # Else all repositories of the engine would share the caches of `RUN --mount=type=cache`, and fill them for others.
    config.Repo2Docker.extra_build_args = {"BUILDKIT_CACHE_MOUNT_NS": os.environ["BINDER_CACHE_SPACE"]}
    if base_image := os.environ.get("BINDER_BASE_IMAGE"):
        config.Repo2Docker.base_image = base_image


_loader = globals()  # of configuration files: it puts two functions here before it executes this one
if "get_config" in _loader:
    if _buildpacks := os.environ.get("BINDER_BUILDPACKS"):
        _loader["load_subconfig"](_buildpacks)
    configure(_loader["get_config"]())
