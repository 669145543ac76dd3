"""Each file that repo2docker's documentation names for Python repositories, and its effect in the container."""

from __future__ import annotations

import json
import textwrap

import pytest
from buildpack_workshop import Workshop

pytestmark = [pytest.mark.docker, pytest.mark.integration]

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "greeter"
version = "3.1"
[tool.setuptools]
py-modules = ["greeter"]
"""


def test_requirements_txt(workshop: Workshop) -> None:
    workshop.add("requirements.txt", "six==1.16.0\n")
    workshop.built()
    assert "Using VenvPythonBuildPack builder" in workshop.said
    assert workshop.run("python", "-c", "import six; print(six.__version__)") == "1.16.0\n"
    compiled = workshop.run("python", "-c", "import six, os; print(os.path.exists(six.__cached__))")
    assert compiled == "True\n", "the first visitor should not have to compile"


def test_a_repository_without_configuration_gets_jupyter_and_its_files(workshop: Workshop) -> None:
    workshop.add("notebook.ipynb", "{}")
    workshop.built()
    listed = workshop.run("bash", "-c", "id -un; pwd; ls -l notebook.ipynb; jupyter notebook --version")
    assert listed.splitlines()[:2] == ["jovyan", "/home/jovyan"]
    assert "jovyan jovyan" in listed.splitlines()[2]


def test_requirements_in_a_binder_folder_may_name_the_repository_itself(workshop: Workshop) -> None:
    workshop.add("requirements.txt", "no-such-package-at-all\n")  # hidden by the binder folder
    workshop.add("binder/requirements.txt", ".\n")
    workshop.add("setup.py", 'from setuptools import setup\nsetup(name="greeter", py_modules=["greeter"])\n')
    workshop.add("greeter.py", 'WORD = "hello"\n')
    workshop.built()
    assert workshop.run("bash", "-c", "cd / && python -c 'import greeter; print(greeter.WORD)'") == "hello\n"


def test_setup_py(workshop: Workshop) -> None:
    workshop.add("setup.py", 'from setuptools import setup\nsetup(name="greeter", py_modules=["greeter"])\n')
    workshop.add("greeter.py", 'WORD = "hello"\n')
    workshop.built()
    assert workshop.run("bash", "-c", "cd / && python -c 'import greeter; print(greeter.WORD)'") == "hello\n"


def test_pyproject_toml(workshop: Workshop) -> None:
    workshop.add("pyproject.toml", PYPROJECT)
    workshop.add("greeter.py", 'WORD = "hello"\n')
    workshop.built()
    assert "greeter 3.1" in " ".join(workshop.run("pip", "list").split())


def test_apt_txt(workshop: Workshop) -> None:
    workshop.add(".binder/apt.txt", "# small ones\nhello  # says hello\n")
    workshop.built()
    assert workshop.run("hello") == "Hello, world!\n"


def test_post_build_runs_as_the_user_with_the_repository(workshop: Workshop) -> None:
    workshop.add("data.txt", "17\n")
    workshop.add(
        "postBuild", "#!/bin/bash\nset -e\necho $(id -un) $(cat data.txt) $NB_USER $(which python) > made\n"
    )
    workshop.built()
    assert workshop.run("cat", "made") == "jovyan 17 jovyan /srv/venv/bin/python\n"


def test_a_failing_post_build_fails_the_build(workshop: Workshop) -> None:
    workshop.add("postBuild", "#!/bin/bash\necho this goes wrong\nexit 7\n")
    assert workshop.build() != 0
    assert "this goes wrong" in workshop.said


def test_start_runs_before_the_server(workshop: Workshop) -> None:
    workshop.add("binder/start", '#!/bin/bash\nexport GREETING=hello\nexec "$@"\n')
    workshop.built()
    assert workshop.run("bash", "-c", "echo $GREETING; which python") == "hello\n/srv/venv/bin/python\n"


@pytest.mark.parametrize(
    "runtime", ["python-3", "python-3.11", "python-3.11-2024-01-01", "python-2024-01-01"]
)
def test_runtime_txt_that_the_base_image_has(workshop: Workshop, runtime: str) -> None:
    workshop.add("runtime.txt", f"{runtime}\n")
    workshop.built()
    assert workshop.run("python", "--version").startswith("Python 3.11.")


def test_runtime_txt_that_the_base_image_has_not(workshop: Workshop) -> None:
    workshop.add("runtime.txt", "python-3.9")
    assert workshop.build() != 0
    assert "runtime.txt asks for Python ==3.9.*, and this member has Python 3.11." in workshop.said


def test_requires_python_that_the_base_image_has_not(workshop: Workshop) -> None:
    workshop.add("pyproject.toml", '[project]\nname = "tool"\nrequires-python = ">=3.13"\n')
    workshop.add("requirements.txt", "six\n")
    assert workshop.build() != 0
    assert "pyproject.toml asks for Python >=3.13, and this member has Python 3.11." in workshop.said


def test_a_dockerfile_comes_first_and_starts_from_the_notebook_image(
    workshop: Workshop, notebook_image: str
) -> None:
    workshop.add("Dockerfile", f"FROM {notebook_image}\nRUN echo made > made\n")
    workshop.add("environment.yml", "dependencies: [python]\n")
    workshop.built()
    assert (
        workshop.run("bash", "-c", "cat made; id -un; which jupyter")
        == "made\njovyan\n/srv/venv/bin/jupyter\n"
    )


def test_what_uv_does_not_understand_pip_installs(workshop: Workshop) -> None:
    workshop.add("requirements.txt", "six (==1.16.0)\n--trusted-host=localhost,\n")
    workshop.built()
    assert workshop.run("python", "-c", "import six; print(six.__version__)") == "1.16.0\n"


def test_an_unknown_package_fails_the_build_and_is_named(workshop: Workshop) -> None:
    workshop.add("requirements.txt", "no-such-package-of-anybodys\n")
    assert workshop.build("--DockerEngine.extra_buildx_build_args=--network=host") != 0
    assert "no-such-package-of-anybodys" in workshop.said


def test_the_server_runs_as_binder_starts_it(workshop: Workshop) -> None:
    workshop.add("requirements.txt", "six\n")
    workshop.built()
    script = textwrap.dedent("""
        jupyter notebook --ip 127.0.0.1 --port 8888 --no-browser --IdentityProvider.token=secret >log 2>&1 &
        for try in $(seq 300); do
            python - <<'EOF' && exit 0
        import sys, urllib.request
        try:
            print(urllib.request.urlopen("http://127.0.0.1:8888/api/status?token=secret").read().decode())
        except OSError:
            sys.exit(1)
        EOF
            sleep 0.1
        done
        cat log; exit 1
    """)
    assert json.loads(workshop.run("bash", "-c", script))["kernels"] == 0
