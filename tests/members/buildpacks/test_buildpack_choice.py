"""Which buildpack repo2docker takes with our configuration, what it then writes, and what is refused; no engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from members.buildpacks import repo2docker_config
from members.buildpacks.content import Dataverse

FAR = "https://192.0.2.1/installations.json"  # reserved for documentation: nobody answers there


def plan(folder: Path, *arguments: str) -> tuple[int, str]:
    """What repo2docker would build: its exit code, and the Dockerfile or the complaint."""
    command = [sys.executable, "-I", "-m", "repo2docker", "--config", repo2docker_config.__file__]
    command += [
        "--no-build",
        "--json-logs",
        "--user-id",
        "1000",
        "--user-name",
        "jovyan",
        *arguments,
        str(folder),
    ]
    environment = {**os.environ, "BINDER_BASE_IMAGE": "base:1"}
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=60, check=False
    )
    said = "".join(json.loads(line)["message"] for line in done.stderr.splitlines() if line.startswith("{"))
    return done.returncode, done.stdout + said


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("environment.yml", "dependencies: [numpy]", "a conda environment"),
        ("environment.yaml", "dependencies: [numpy]", "a conda environment"),
        ("binder/environment.yml", "dependencies: [numpy]", "a conda environment"),
        ("install.R", "install.packages('x')", "R"),
        ("DESCRIPTION", "Package: x", "R"),
        ("runtime.txt", "r-4.1-2024-01-01", "R"),
        ("Project.toml", "", "a Julia environment"),
        (".binder/JuliaProject.toml", "", "a Julia environment"),
        ("REQUIRE", "julia 0.7", "a Julia environment"),
        ("default.nix", "{}", "a Nix environment"),
        ("Pipfile", "", "a Pipenv environment"),
    ],
)
def test_what_pip_cannot_give_is_refused_by_its_file(tmp_path: Path, file: str, text: str, what: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    (path.parent / "requirements.txt").write_text("six\n")
    code, said = plan(tmp_path)
    assert code != 0
    assert f"{file} asks for {what}, which this member does not build" in said


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("runtime.txt", "python-3.11.4", "python-3.11.4 was not understood, python-X.Y was expected"),
        ("runtime.txt", "python-three", "python-three was not understood, python-X.Y was expected"),
        ("pyproject.toml", "[project\n", "pyproject.toml is not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, file: str, text: str, complaint: str) -> None:
    (tmp_path / file).write_text(text)
    code, said = plan(tmp_path)
    assert code != 0
    assert complaint in said


def test_a_binder_folder_hides_the_root(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text("dependencies: [numpy]")
    (tmp_path / "setup.py").write_text("")
    (tmp_path / "binder").mkdir()
    code, said = plan(tmp_path)
    assert code == 0
    assert "environment.yml" not in said
    assert "RUN sh" not in said


def test_requirements_are_installed_before_the_rest_is_copied(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six\n")
    _, said = plan(tmp_path)
    assert (
        said.index("requirements.txt") < said.index("install /srv/venv -r") < said.index("src/ ${REPO_DIR}/")
    )
    (tmp_path / "requirements.txt").write_text(".\n")
    _, said = plan(tmp_path)
    assert said.index("src/ ${REPO_DIR}/") < said.index("install /srv/venv -r")


def test_an_apt_txt_without_packages_asks_no_mirror(tmp_path: Path) -> None:
    (tmp_path / "apt.txt").write_text("# none\n\n")
    code, said = plan(tmp_path)
    assert code == 0
    assert "apt-get" not in said


def test_a_label_cannot_add_a_line(tmp_path: Path) -> None:
    code, said = plan(tmp_path, "--label", 'a=b"$HOME\nRUN evil', "--appendix", "RUN echo last")
    assert code == 0
    assert "\nRUN evil" not in said
    assert said.index("CMD [") < said.index("\nRUN echo last\n")


def test_a_version_that_a_repository_wants_never_meets_a_shell(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nrequires-python = ">=3; evil"\n')
    _, said = plan(tmp_path)
    line = next(line for line in said.splitlines() if "evil" in line)
    assert line.startswith('RUN ["/srv/venv/bin/python"')
    assert ">=3; evil" in json.loads(line.removeprefix("RUN "))


def test_git_repositories_need_no_list_of_dataverse_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dataverse, "dataverse_installations_url", FAR)
    assert Dataverse().detect("https://git.example.org/me/repository.git") is None
    assert Dataverse().detect("/srv/repository") is None


def test_a_dataverse_address_is_still_one() -> None:
    provider = Dataverse()
    provider.hosts = [{"hostname": "data.example.org"}]
    spec = "https://data.example.org/dataset.xhtml?persistentId=doi:10.5072/x"
    assert provider.detect(spec) == spec
