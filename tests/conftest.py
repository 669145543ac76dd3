"""What all tests share: an engine, a registry and base images of the test run's own.

They are started when a test first asks for them, and end with the run.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from base_stage import BASE, NOTEBOOK, load_base_images
from engine_stage import Engine, start_engine
from registry_stage import RunningRegistry, start_registry


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two groups that may run side by side, so that each keeps one of everything it shares.

    What needs an engine waits for it, and for containers, about as long as all the rest takes.
    """
    for item in items:
        on_engine = item.get_closest_marker("docker") or "engine" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("docker" if on_engine else "rest"))


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
