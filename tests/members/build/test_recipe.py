"""Which file of a repository leads to what, in repo2docker's order."""

from __future__ import annotations

import pytest

from members.core.recipe import Recipe, RecipeError, Unsupported, recipe, texts_wanted

PROJECT = '[project]\nname = "x"\nrequires-python = ">=3.11"\n[build-system]\nrequires = ["hatchling"]\n'


def of(*names: str, **texts: str) -> Recipe | Unsupported:
    """The recipe of a repository.

    Keyword `runtime_txt` is the text of the file that ends with runtime.txt.
    """
    by_name = {name.replace("_", ".", 1): text for name, text in texts.items()}
    wanted = texts_wanted(names)
    return recipe(names, {path: by_name.get(path.rpartition("/")[2], "") for path in wanted})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("README.md", "index.ipynb"), Recipe()),
        (("requirements.txt",), Recipe(requirements=("requirements.txt",))),
        (("binder/requirements.txt",), Recipe(requirements=("binder/requirements.txt",))),
        ((".binder/requirements.txt",), Recipe(requirements=(".binder/requirements.txt",))),
        (("binder/postBuild", "requirements.txt"), Recipe(post_build="binder/postBuild")),
        (("setup.py",), Recipe(project=True)),
        (("setup.py", "requirements.txt"), Recipe(requirements=("requirements.txt",), project=True)),
        (("setup.py", "binder/requirements.txt"), Recipe(requirements=("binder/requirements.txt",))),
        (("postBuild", "start"), Recipe(post_build="postBuild", start="start")),
        (
            ("environment.yml", "Dockerfile", "binder/requirements.txt"),
            Recipe(requirements=("binder/requirements.txt",)),
        ),
        (("DESCRIPTION", "binder/start"), Recipe(start="binder/start")),
    ],
)
def test_supported(names: tuple[str, ...], expected: Recipe) -> None:
    assert of(*names) == expected


@pytest.mark.parametrize(
    ("names", "file"),
    [
        (("Dockerfile", "requirements.txt", "environment.yml"), "Dockerfile"),
        (("binder/Dockerfile", "requirements.txt"), "binder/Dockerfile"),
        (("Project.toml", "environment.yml"), "Project.toml"),
        (("JuliaProject.toml",), "JuliaProject.toml"),
        (("default.nix", "install.R"), "default.nix"),
        (("DESCRIPTION", "environment.yml"), "DESCRIPTION"),
        (("install.R", "environment.yml"), "install.R"),
        ((".binder/install.R",), ".binder/install.R"),
        (("environment.yml", "Pipfile", "requirements.txt"), "environment.yml"),
        (("environment.yaml",), "environment.yaml"),
        (("Pipfile", "Pipfile.lock"), "Pipfile"),
        (("Pipfile.lock",), "Pipfile.lock"),
    ],
)
def test_what_needs_more_is_refused_by_the_first_file_in_order(names: tuple[str, ...], file: str) -> None:
    refusal = of(*names)
    assert isinstance(refusal, Unsupported)
    assert refusal.file == file
    assert file in refusal.message
    assert "docker runtime" in refusal.message


def test_system_packages_are_named() -> None:
    refusal = of("apt.txt", apt_txt="# for the docs\ngraphviz\n\nffmpeg\n")
    assert refusal == Unsupported("apt.txt", "asks for system packages (graphviz, ffmpeg)")


def test_an_apt_txt_without_packages_asks_for_nothing() -> None:
    assert of("apt.txt", apt_txt="# none\n\n") == Recipe()


@pytest.mark.parametrize(
    ("text", "python"), [("python-3.11\n", "3.11"), ("python-3.12.4", "3.12.4"), ("\n", None)]
)
def test_runtime_names_the_python(text: str, python: str | None) -> None:
    assert of("runtime.txt", runtime_txt=text) == Recipe(python=python)
    assert of("binder/runtime.txt", runtime_txt=text) == Recipe(python=python)


@pytest.mark.parametrize("text", ["r-2024-01-31", "r-4.1-2024-01-31\n"])
def test_a_dated_r_runtime_needs_more_even_beside_an_environment(text: str) -> None:
    refusal = of("runtime.txt", "environment.yml", runtime_txt=text)
    assert isinstance(refusal, Unsupported)
    assert refusal.file == "runtime.txt"


@pytest.mark.parametrize("text", ["python-2.7", "python-3.7", "pypy3", "python-3.x", "3.11", "r-latest"])
def test_other_runtimes_are_errors_that_name_the_file(text: str) -> None:
    with pytest.raises(RecipeError, match=r"runtime\.txt"):
        of("runtime.txt", runtime_txt=text)


def test_a_project_needs_both_tables() -> None:
    assert of("pyproject.toml", pyproject_toml=PROJECT) == Recipe(python=">=3.11", project=True)
    assert of("pyproject.toml", pyproject_toml="[tool.ruff]\n") == Recipe()
    assert of("pyproject.toml", pyproject_toml='[project]\nname = "x"\n') == Recipe()


def test_runtime_wins_over_requires_python() -> None:
    made = of("pyproject.toml", "runtime.txt", pyproject_toml=PROJECT, runtime_txt="python-3.13")
    assert made == Recipe(python="3.13", project=True)


def test_a_broken_pyproject_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"pyproject\.toml is not valid TOML"):
        of("pyproject.toml", pyproject_toml="[project")


@pytest.mark.parametrize("text", [">= 3.10", ">=3.8,<3.14,!=3.9.1", "~=3.11", "==3.11.*", ">=3.12rc1"])
def test_ranges_of_python_are_understood(text: str) -> None:
    made = of("pyproject.toml", pyproject_toml=PROJECT.replace(">=3.11", text))
    assert made == Recipe(python=text, project=True)


@pytest.mark.parametrize(
    "text", ["/tmp/evil", "evil", "--directory=/tmp", ">=3.10,/tmp/evil", "pypy", "3.11"]
)
def test_a_requires_python_that_is_no_range_never_reaches_uv(text: str) -> None:
    """uv takes a path or a name for an interpreter too, and starts it: outside any sandbox."""
    with pytest.raises(RecipeError, match=r"pyproject\.toml: requires-python"):
        of("pyproject.toml", pyproject_toml=PROJECT.replace(">=3.11", text))


def test_a_bottomless_pyproject_is_the_repositorys_fault() -> None:
    with pytest.raises(RecipeError, match=r"pyproject\.toml is not valid TOML"):
        of("pyproject.toml", pyproject_toml="a = " + "[" * 100_000)


def test_both_binder_folders_are_an_error() -> None:
    with pytest.raises(RecipeError, match=r"both binder/ and \.binder/"):
        of("binder/start", ".binder/start")


def test_the_old_julia_format_is_an_error() -> None:
    with pytest.raises(RecipeError, match="REQUIRE"):
        of("REQUIRE")
    refusal = of("REQUIRE", "Project.toml")
    assert isinstance(refusal, Unsupported)


def test_only_plain_repositories_are_plain() -> None:
    assert Recipe().plain
    assert Recipe(start="start", python="3.11").plain
    for other in (Recipe(requirements=("r",)), Recipe(project=True), Recipe(post_build="p")):
        assert not other.plain
