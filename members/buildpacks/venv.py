"""A repo2docker buildpack for Python repositories on a plain base image with a venv; knows no conda.

What is asked for, and where, is repo2docker's own reading of the repository: the same files in the same order.
The image differs in what it stands on. The base image (`make-base-image`) already holds the system's packages, the
locale, the user and Jupyter, so a build installs what the repository asks for and nothing else, and needs a
network for that alone.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version
from repo2docker.buildpacks.base import BaseImage
from repo2docker.buildpacks.python import PythonBuildPack
from repo2docker.utils import is_local_pip_requirement

from members.buildpacks.dockerfile import Image, Script, dockerfile
from members.buildpacks.refusals import Refused

PREFIX = "/srv/venv"  # of the base image's environment
_INSIDE = Path(__file__).with_name("inside")
_TOOLS = "/srv/binder"  # where the build finds the scripts of `inside`
_USER = "${NB_USER}"


class VenvPythonBuildPack(PythonBuildPack):
    """Python with pip or uv: requirements.txt, setup.py, pyproject.toml, runtime.txt, apt.txt, postBuild, start."""

    separate_kernel_env = False
    uses_r = False

    def render(self, build_args: dict[str, str] | None = None) -> str:
        """The Dockerfile. Raises Refused for what the base image surely cannot give."""
        files = {
            self.generate_build_context_filename(source)[0]: target
            for source, target in self.get_build_script_files().items()
        }
        return dockerfile(
            Image(
                base=self.base_image,
                user_id=int((build_args or {}).get("NB_UID", 1000)),
                prefix=PREFIX,
                tools=files,
                check=self._python_check(),
                early_files=tuple(sorted(self.get_preassemble_script_files())),
                early=tuple(self.get_preassemble_scripts()),
                late=tuple(self.get_assemble_scripts()),
                labels={str(name): str(value) for name, value in self.get_labels().items()},
                post_build=next(iter(self.get_post_build_scripts()), None),
                start=self.get_start_script(),
                appendix=self.appendix,
            )
        )

    @lru_cache  # noqa: B019 - repo2docker makes one buildpack per process
    def get_build_script_files(self) -> dict[str, str]:
        return {str(_INSIDE / name): f"{_TOOLS}/{name}" for name in ("install", "check_python.py")}

    def get_preassemble_scripts(self) -> list[Script]:
        """What needs no more of the repository than the files that are copied first."""
        scripts = self._apt_scripts()
        return [*scripts, *self._get_pip_scripts()] if self._should_preassemble_pip else scripts

    def get_assemble_scripts(self) -> list[Script]:
        scripts = [] if self._should_preassemble_pip else self._get_pip_scripts()
        return [*scripts, (_USER, _install("."))] if self._is_python_package() else scripts

    def get_env_scripts(self) -> list[Script]:
        """Conda's part of the repository: none, or it would have been refused."""
        return []

    def _apt_scripts(self) -> list[Script]:
        """apt.txt, which may be there without naming a package: then no mirror is asked."""
        apt = Path(self.binder_path("apt.txt"))
        if not apt.exists() or not any(_content(line) for line in apt.read_text().splitlines()):
            return []
        return list(BaseImage.get_preassemble_scripts(self))

    def _get_pip_scripts(self) -> list[Script]:
        requirements = self.binder_path("requirements.txt")
        return [(_USER, _install(f'-r "{requirements}"'))] if Path(requirements).exists() else []

    @property
    def _should_preassemble_pip(self) -> bool:
        """Whether the requirements are all that installing them needs.

        repo2docker guesses the file's encoding, and takes a single "." for UTF-16.
        """
        requirements = Path(self.binder_path("requirements.txt"))
        text = requirements.read_text(encoding="utf-8", errors="replace") if requirements.exists() else ""
        return not self._is_python_package() and not any(map(is_local_pip_requirement, text.splitlines()))

    def _is_python_package(self) -> bool:
        if self.binder_dir:
            return False
        project = self._project()
        return Path("setup.py").exists() or ("project" in project and "build-system" in project)

    def _project(self) -> dict[str, Any]:
        """What the root's pyproject.toml says, unless a binder folder hides it."""
        path = Path("pyproject.toml")
        if self.binder_dir or not path.exists():
            return {}
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Refused(f"pyproject.toml is not valid TOML: {error}") from error

    def _python_check(self) -> tuple[str, ...]:
        """Pairs of a file and the Python versions it asks for, to be compared with the base image's inside it."""
        checks: tuple[str, ...] = ()
        name, version, date = self.runtime
        if name == "python" and version is not None:
            checks += (self.binder_path("runtime.txt"), _wanted(version))
        elif name not in (None, "python"):
            self.log.warning("runtime.txt asks for %s, which means nothing for a Python repository.\n", name)
        if date is not None:
            self.log.info("The date in runtime.txt means nothing for a Python repository.\n")
        project = self._project().get("project")
        requires = project.get("requires-python") if isinstance(project, dict) else None
        return (*checks, "pyproject.toml", requires) if isinstance(requires, str) else checks


def _install(what: str) -> str:
    return f"sh {_TOOLS}/install {PREFIX} {what}"


def _wanted(version: str) -> str:
    """The versions that a runtime.txt means: python-3 is any 3, python-3.11 any 3.11."""
    try:
        release = Version(version).release
    except InvalidVersion:
        release = ()
    if len(release) not in (1, 2) or version != ".".join(map(str, release)):
        raise Refused(f"runtime.txt: python-{version} was not understood, python-X.Y was expected.")
    return f"=={version}.*"


def _content(line: str) -> str:
    return line.partition("#")[0].strip()
