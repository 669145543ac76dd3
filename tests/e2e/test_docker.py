"""`up --runtime docker`: real images, one registry, containers, from the first click to the last container's end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest
from browser import SHOW_LIMIT, open_suggestion, run_cells
from browser import shut_down as shut_down_page
from docker_federation import SEATS, containers, docker_federation, networks, one_more_member
from engine_stage import Engine, start_engine
from local_federation import Federation, Launch, builds, eventually, kernel, launch, shut_down
from playwright.async_api import Page, expect

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.integration, pytest.mark.timeout(400)]

QUOTA = "Too many users on this BinderHub! Try again soon."


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, engine: Engine, base_image: str
) -> Iterator[Federation]:
    """One federation for all tests here: the first push of the base image to a new registry takes a while."""
    federation = docker_federation(tmp_path_factory.mktemp("docker"), engine, base_image)
    try:
        federation.start()
        yield federation
        assert federation.end() == 0
        assert federation.leftovers() == []
        assert containers(engine) == []
        assert networks(engine) == []
    finally:
        federation.clean_up()


@pytest.fixture
async def federation(running: Federation) -> AsyncIterator[Federation]:
    await running.all_active()
    yield running


def dockerfile(image: str, *lines: str) -> str:
    return "\n".join([f"FROM {image}", "COPY --chown=jovyan . /home/jovyan", *lines, ""])


async def test_a_click_ends_in_a_notebook_and_the_second_one_builds_nothing(
    federation: Federation, session: aiohttp.ClientSession, page: Page
) -> None:
    await open_suggestion(page, federation, "A plain notebook")
    await run_cells(page, 2)
    await expect(page.locator(".jp-OutputArea-output").first).to_have_text("2", timeout=SHOW_LIMIT)
    await shut_down_page(page)
    again = await launch(session, federation.url, federation.example("notebook"))
    assert not again.built
    assert "Found built image, launching...\n" in again.log
    await shut_down(session, again.ready)


async def test_a_dockerfile_is_built_and_run(
    federation: Federation, session: aiohttp.ClientSession, notebook_image: str
) -> None:
    recipe = dockerfile(notebook_image, "RUN echo made by the build > made.txt")
    spec = federation.repository("dockerfile", Dockerfile=recipe)
    found = await launch(session, federation.url, spec)
    assert in_order(found, "fetching", "building", "built", "launching", "ready")
    assert "RUN echo made by the build" in found.log
    async with kernel(session, found.ready) as cell:
        assert await cell.run("open('made.txt').read()") == r"'made by the build\n'"
    await shut_down(session, found.ready)


async def test_requirements_are_installed(federation: Federation, session: aiohttp.ClientSession) -> None:
    spec = federation.repository("requirements", requirements__txt="six==1.16.0\n")
    found = await launch(session, federation.url, spec)
    assert in_order(found, "fetching", "building", "built", "launching", "ready")
    async with kernel(session, found.ready) as cell:
        assert await cell.run("import six; six.__version__") == "'1.16.0'"
    await shut_down(session, found.ready)


async def test_a_build_that_fails_tells_its_log_and_tries_no_other_member(
    federation: Federation, session: aiohttp.ClientSession, engine: Engine, notebook_image: str
) -> None:
    recipe = dockerfile(notebook_image, "RUN echo this one cannot work && exit 3")
    spec = federation.repository("failing", Dockerfile=recipe)
    before = containers(engine)
    found = await launch(session, federation.url, spec)
    assert found.phases[-1] == "failed"
    assert "built" not in found.phases
    assert "this one cannot work" in found.log
    assert "exit code: 3" in found.log
    assert len(set(found.members)) == 1, found.members
    assert set(containers(engine)) <= set(before)
    again = await launch(session, federation.url, spec)  # a failure is no image
    assert again.phases[-1] == "failed"


async def test_a_member_on_another_engine_pulls_what_was_built_and_builds_nothing(
    federation: Federation,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    base_image: str,
    notebook_image: str,
) -> None:
    recipe = dockerfile(notebook_image, "RUN echo made over there > made.txt")
    spec = federation.repository("travels", Dockerfile=recipe)
    first = await launch(session, federation.url, spec)
    assert first.built
    await shut_down(session, first.ready)
    other = await asyncio.to_thread(start_engine)
    try:
        with one_more_member(tmp_path / "elsewhere", other, base_image, federation) as member:
            second = await launch(session, member["url"], spec)
            assert not second.built
            assert second.ready["image"] == first.ready["image"]
            assert "Pulling the image from the registry\n" in second.log
            assert "The image is ready on this member" in second.log
            assert second.phases.index("built") < second.phases.index("launching")
            assert await builds(session, member, "travels.git") == 0
            async with kernel(session, second.ready) as cell:
                assert await cell.run("open('made.txt').read()") == r"'made over there\n'"
            third = await launch(session, member["url"], spec)
            assert "Pulling" not in third.log
            for each in (second, third):
                await shut_down(session, each.ready)
        assert containers(other) == []
    finally:
        await asyncio.to_thread(other.stop)


async def test_a_hundred_launches_of_one_new_commit_make_one_build_and_leave_no_container(
    federation: Federation, session: aiohttp.ClientSession, engine: Engine, notebook_image: str
) -> None:
    recipe = dockerfile(notebook_image, "RUN echo the build begins && sleep 3 && echo the build ends")
    spec = federation.repository("crowd", Dockerfile=recipe)
    found: list[Launch] = await asyncio.gather(*(launch(session, federation.url, spec) for _ in range(100)))
    ready = [each for each in found if each.phases[-1] == "ready"]
    others = [each for each in found if each.phases[-1] != "ready"]
    for each in others:
        assert each.phases[-1] == "failed"
        assert QUOTA in each.events[-1]["message"], each.events[-1]
    assert len(ready) == 2 * SEATS
    counted = [await builds(session, member, "crowd.git") for member in federation.members.values()]
    assert sorted(counted) == [0, 1]

    async def holds(count: int) -> bool:
        return len(await asyncio.to_thread(containers, engine)) == count

    await eventually(lambda: holds(len(ready)))
    for each in ready:
        await shut_down(session, each.ready)
    await eventually(lambda: holds(0))


async def test_kill_9_leaves_no_process_and_no_container_and_the_next_start_works(
    federation: Federation, session: aiohttp.ClientSession, engine: Engine, notebook_image: str
) -> None:
    started = await launch(session, federation.url, federation.example("notebook"))
    assert started.ready
    recipe = dockerfile(notebook_image, "RUN echo half-way && sleep 600")
    spec = federation.repository("endless", Dockerfile=recipe)
    building = asyncio.create_task(
        launch(session, federation.url, spec, until=lambda event: "half-way" in event.get("message", ""))
    )
    assert "half-way" in (await building).log
    assert len(containers(engine)) == 1
    assert len(federation.descendants()) > 10
    assert await asyncio.to_thread(federation.end, signal.SIGKILL) == -9

    async def nothing_left() -> bool:
        left = [*federation.leftovers(), *containers(engine), *networks(engine)]
        return not [*left, *processes_with("sleep 600")]

    await eventually(nothing_left)
    (federation.folder / "ready.json").unlink()
    await asyncio.to_thread(federation.start)
    again = await launch(session, federation.url, federation.example("notebook"))
    assert not again.built
    await shut_down(session, again.ready)


def in_order(found: Launch, *phases: str) -> bool:
    """Whether the launch came to each of these phases for the first time in this order."""
    places = [found.phases.index(phase) for phase in phases]
    return places == sorted(places) and found.phases[-1] == phases[-1]


def processes_with(words: str) -> list[int]:
    """The processes of this machine, those in containers among them, whose command has these words."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if words in " ".join(process.info["cmdline"] or [])
    ]
