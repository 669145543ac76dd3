"""Folders as hostile repositories and sessions leave them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from members.adapters import trees
from members.adapters.blocking import Stopped, blocking
from members.adapters.oci_layout import OciLayoutStore

DEPTH = sys.getrecursionlimit() + 200


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Path]:
    """Folders in folders, deeper than Python's own ways of removal go: pytest's too."""
    (tmp_path / "pit").mkdir()
    dig(tmp_path / "pit")
    yield tmp_path / "pit"
    subprocess.run(["rm", "-rf", tmp_path / "pit"], check=True)


def dig(folder: Path) -> None:
    here = os.getcwd()  # noqa: PTH109 - no path is long enough
    try:
        os.chdir(folder)
        for _ in range(DEPTH):
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
    finally:
        os.chdir(here)


def test_a_tree_of_any_depth_can_be_removed(pit: Path) -> None:
    trees.remove(pit)
    assert not pit.exists()


@pytest.mark.skipif(
    os.getuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="root may write anywhere"
)
def test_a_tree_of_unwritable_folders_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "tree" / "closed" / "inner").mkdir(parents=True)
    (tmp_path / "tree" / "closed" / "inner" / "file").touch()
    code = "import sys; from pathlib import Path; from members.adapters import trees; trees.remove(Path(sys.argv[1]))"
    (tmp_path / "tree" / "closed" / "inner").chmod(0o500)
    (tmp_path / "tree" / "closed").chmod(0o500)
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    subprocess.run([*powerless, sys.executable, "-c", code, str(tmp_path / "tree")], check=True)
    assert not (tmp_path / "tree").exists()


def test_removal_takes_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    trees.remove(tmp_path / "link")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "kept" / "file").exists()


def test_a_deep_tree_is_listed_to_its_end(pit: Path) -> None:
    assert len(list(trees.entries(pit))) == DEPTH


def test_folders_named_like_whiteouts_go_into_no_layer(tmp_path: Path) -> None:
    for name in (".wh..", ".wh.x", ".wh...."):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "kept").touch()
    assert trees.changes(tmp_path, None).written == ("kept",)


async def test_long_jobs_leave_the_quick_ones_their_threads(tmp_path: Path) -> None:
    """As many unpackings as a small machine has threads: the store still answers its health check."""
    store = OciLayoutStore(folder=tmp_path / "store", state_dir=tmp_path / "state")
    store.prepare()

    def long_job(stop: Event) -> None:
        stop.wait()
        raise Stopped

    jobs = [asyncio.create_task(blocking(long_job)) for _ in range((os.cpu_count() or 1) + 4)]
    try:
        await asyncio.sleep(0.1)  # in which all have begun
        async with asyncio.timeout(10):
            assert await store.check()
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
