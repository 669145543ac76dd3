"""What cannot be built without conda, Julia, Nix or R: found as repo2docker finds it, and refused in plain words."""

from __future__ import annotations

from pathlib import Path

from repo2docker.buildpacks import (
    CondaBuildPack,
    JuliaProjectTomlBuildPack,
    JuliaRequireBuildPack,
    NixBuildPack,
    PipfileBuildPack,
    RBuildPack,
)
from repo2docker.buildpacks.base import BuildPack

_ALONE = (
    "install.R",
)  # repo2docker wants a date in runtime.txt as well; without one it builds, and leaves R out

# repo2docker's order: the first that is found decides what is said.
_REFUSED: tuple[tuple[type[BuildPack], str, tuple[str, ...]], ...] = (
    (JuliaProjectTomlBuildPack, "a Julia environment", ("Project.toml", "JuliaProject.toml")),
    (JuliaRequireBuildPack, "a Julia environment", ("REQUIRE",)),
    (NixBuildPack, "a Nix environment", ("default.nix",)),
    (RBuildPack, "R", ("install.R", "DESCRIPTION", "runtime.txt")),
    (CondaBuildPack, "a conda environment", ("environment.yml", "environment.yaml")),
    (PipfileBuildPack, "a Pipenv environment", ("Pipfile.lock", "Pipfile")),
)


class Refused(Exception):
    """The repository asks for what this member cannot build. The message, for the visitor, names the file."""


def _refusing(stock: type[BuildPack], what: str, files: tuple[str, ...]) -> type[BuildPack]:
    class Refusal(stock):
        def detect(self) -> bool:
            found = [path for path in map(self.binder_path, files) if Path(path).exists()]
            if not super().detect() and not any(Path(path).name in _ALONE for path in found):
                return False
            raise Refused(
                f"{found[0]} asks for {what}, which this member does not build: it builds Python environments "
                "with pip, and repositories with a Dockerfile. Write what is needed into requirements.txt and "
                "apt.txt, or launch on a member with repo2docker's own buildpacks."
            )

    Refusal.__name__ = Refusal.__qualname__ = f"Refusing{stock.__name__}"
    return Refusal


REFUSALS: tuple[type[BuildPack], ...] = tuple(_refusing(*row) for row in _REFUSED)
