"""What all tests share: an engine, a registry and base images of the test run's own.

They are started when a test first asks for them, and end with the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from base_stage import BASE, NOTEBOOK, load_base_images
from engine_stage import Engine, start_engine
from registry_stage import RunningRegistry, start_registry
from xdist.scheduler import LoadScopeScheduling

ON_ENGINE = ("docker", "buildpacks", "registry", "stage")  # words in the paths of tests that need an engine
OF_THE_FRONT_DOOR = ("tests/federation/", "tests/acceptance/", "tests/benchmarks/")


def on_engine(nodeid: str) -> bool:
    return any(word in nodeid.partition("::")[0] for word in ON_ENGINE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test outside its group would start a second engine beside the first."""
    for item in items:
        if item.get_closest_marker("docker") and not on_engine(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} needs an engine: its path must name one of {ON_ENGINE}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where it is decided whether a change is good, a test that skips itself decides nothing: it fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("Tests were skipped, which fails a run that decides (CI is set).")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


class Groups(LoadScopeScheduling):
    """Groups that may run side by side, so that each keeps one of everything it shares.

    What needs an engine waits for it and for containers, much of the others for servers and clocks.
    """

    def _split_scope(self, nodeid: str) -> str:
        if on_engine(nodeid):
            return "engine"
        return "front door" if nodeid.startswith(OF_THE_FRONT_DOOR) else "rest"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    return Groups(config, log)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    engine = start_engine()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    registry = start_registry(tmp_path_factory.mktemp("registry"))
    yield registry
    registry.kill()


@pytest.fixture(scope="session")
def base_images(engine: Engine) -> None:
    load_base_images(engine)


@pytest.fixture(scope="session")
def base_image(base_images: None) -> str:
    """For repo2docker's buildpacks; it is on `engine`."""
    return BASE


@pytest.fixture(scope="session")
def notebook_image(base_images: None) -> str:
    """For FROM in a repository's own Dockerfile; it is on `engine`."""
    return NOTEBOOK
