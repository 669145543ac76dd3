"""What a repository's own files ask of a build without containers; reads no file and starts nothing.

The files and their order are repo2docker's (BINDER-PROTOCOL.md, section 12). What needs more than a Python
environment is `Unsupported` here, whatever else the repository holds: a half-built environment would mislead
its visitors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

FOLDERS = ("binder/", ".binder/")
_READ = ("runtime.txt", "apt.txt", "pyproject.toml")

_DATED_R = re.compile(r"r-(?:\d[\d.]*-)?\d{4}-\d{2}-\d{2}")
_PYTHON = re.compile(r"python-(\d+(?:\.\d+){0,2})")
_RANGE = re.compile(r"(?:===?|!=|~=|[<>]=?)\s*\d+(?:\.\d+)*(?:\.\*|(?:a|b|rc)\d+)?")  # PEP 440, one clause
_OLDEST = (3, 8)  # what current releases of JupyterLab and the notebook run on

# In repo2docker's order of detection: the first file found decides what is said.
_NEEDS_MORE = (
    ("Dockerfile", "describes a container image"),
    ("Project.toml", "asks for a Julia environment"),
    ("JuliaProject.toml", "asks for a Julia environment"),
    ("default.nix", "asks for a Nix environment"),
    ("DESCRIPTION", "describes an R package"),
    ("install.R", "asks for R packages"),
    ("environment.yml", "asks for a conda environment"),
    ("environment.yaml", "asks for a conda environment"),
    ("Pipfile", "asks for a Pipenv environment"),
    ("Pipfile.lock", "asks for a Pipenv environment"),
)
_ROOT_ONLY = frozenset({"DESCRIPTION"})  # counts only where no binder folder is used


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to build the environment; all paths are relative to the repository's root.

    `python` is a version ("3.11") or a range (">=3.12"), None when any will do. `project` means that the
    repository itself is installed.
    """

    python: str | None = None
    requirements: tuple[str, ...] = ()
    project: bool = False
    post_build: str | None = None
    start: str | None = None

    @property
    def plain(self) -> bool:
        """Whether the locked base environment is exactly what is wanted."""
        return not (self.requirements or self.project or self.post_build)


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A file that needs another runtime."""

    file: str
    why: str
    runtime: str = "docker"

    @property
    def message(self) -> str:
        return (
            f"{self.file} {self.why}, which this member's process runtime cannot provide. "
            f"A member with the {self.runtime} runtime can build this repository."
        )


class RecipeError(Exception):
    """The files contradict each other or cannot be read; the message names the file and what was expected."""


def texts_wanted(names: Collection[str]) -> tuple[str, ...]:
    """The files among `names` (paths relative to the root) whose text `recipe` needs."""
    folder = _folder(names)
    found = [folder + name for name in _READ if folder + name in names]
    if not folder:
        return tuple(found)
    return tuple(path for path in found if not path.endswith("pyproject.toml"))


def recipe(names: Collection[str], texts: Mapping[str, str]) -> Recipe | Unsupported:
    """What to do for a repository with the files `names` (of the root and the binder folders).

    `texts` holds the content of `texts_wanted(names)`. Raises RecipeError.
    """
    folder = _folder(names)
    runtime = texts.get(folder + "runtime.txt", "").strip()
    if folder + "REQUIRE" in names and folder + "Project.toml" not in names:
        raise RecipeError(
            f"{folder}REQUIRE is Julia's old format, which Binder no longer builds: use Project.toml"
        )
    refusal = _needs_more(folder, names, runtime) or _packages(folder, texts)
    if refusal is not None:
        return refusal
    project, requires_python = (False, None) if folder else _project(names, texts)
    return Recipe(
        python=_python(folder, runtime) or requires_python,
        requirements=_present(names, folder + "requirements.txt"),
        project=project,
        post_build=next(iter(_present(names, folder + "postBuild")), None),
        start=next(iter(_present(names, folder + "start")), None),
    )


def _folder(names: Collection[str]) -> str:
    """The folder that holds the configuration: a binder folder hides the configuration in the root."""
    used = [folder for folder in FOLDERS if any(name.startswith(folder) for name in names)]
    if len(used) > 1:
        raise RecipeError("the repository has both binder/ and .binder/: keep only one of them")
    return used[0] if used else ""


def _needs_more(folder: str, names: Collection[str], runtime: str) -> Unsupported | None:
    for name, why in _NEEDS_MORE:
        if name == "DESCRIPTION" and _DATED_R.fullmatch(runtime):
            return Unsupported(folder + "runtime.txt", f"asks for R ({runtime})")
        if folder and name in _ROOT_ONLY:
            continue
        if folder + name in names:
            return Unsupported(folder + name, why)
    return None


def _packages(folder: str, texts: Mapping[str, str]) -> Unsupported | None:
    lines = texts.get(folder + "apt.txt", "").splitlines()
    packages = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not packages:
        return None
    shown = ", ".join(packages[:3]) + (", ..." if len(packages) > 3 else "")
    return Unsupported(folder + "apt.txt", f"asks for system packages ({shown})")


def _python(folder: str, runtime: str) -> str | None:
    if not runtime:
        return None
    found = _PYTHON.fullmatch(runtime)
    if found is None:
        raise RecipeError(
            f"{folder}runtime.txt: {runtime[:80]!r} was not understood, python-X.Y was expected"
        )
    version = tuple(int(part) for part in found[1].split("."))
    if len(version) > 1 and version < _OLDEST:
        raise RecipeError(f"{folder}runtime.txt: {runtime} is too old, python-3.8 or later was expected")
    return found[1]


def _project(names: Collection[str], texts: Mapping[str, str]) -> tuple[bool, str | None]:
    """Whether the root is an installable project, and the Python versions it asks for."""
    installable, requires = "setup.py" in names, None
    if "pyproject.toml" in texts:
        try:
            table = tomllib.loads(texts["pyproject.toml"])
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RecipeError(f"pyproject.toml is not valid TOML: {error}") from error
        if "project" in table and "build-system" in table:
            installable = True
            requires = table["project"].get("requires-python") if isinstance(table["project"], dict) else None
    return installable, _python_range(requires) if isinstance(requires, str) else None


def _python_range(text: str) -> str | None:
    """The range as it stands, once it surely is one.

    Who looks for an interpreter would take a path or a name instead, and start that program.
    """
    clauses = [clause.strip() for clause in text.split(",") if clause.strip()]
    for clause in clauses:
        if not _RANGE.fullmatch(clause):
            raise RecipeError(
                f"pyproject.toml: requires-python {text[:80]!r} was not understood, a range such as >=3.10 "
                "was expected"
            )
    return ",".join(clauses) or None


def _present(names: Collection[str], path: str) -> tuple[str, ...]:
    return (path,) if path in names else ()
