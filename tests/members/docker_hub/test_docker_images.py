"""Images between a registry and an engine: pulled once, with progress, also when something is down."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from contract_member import told_pull
from engine_stage import Engine, start_engine
from registry_stage import RunningRegistry, start_registry

from members.adapters import docker_images
from members.adapters import engine as adapter
from members.adapters.docker_images import DockerImages
from members.adapters.engine import EngineDown
from members.adapters.engine_room import EngineRoom
from members.adapters.registry import Place, open_registry
from members.core.model import BuildBroken, Credentials, LaunchFailed
from members.core.shelf import Shelf, Shelved

pytestmark = [pytest.mark.integration, pytest.mark.docker]
_LAYER = 20 * 1024**2  # bytes that do not compress


@pytest.fixture(scope="module")
def other(engine: Engine) -> Iterator[Engine]:
    """The engine of another member."""
    other = start_engine()
    yield other
    other.stop()


@pytest.fixture
def pushed(engine: Engine, registry: RunningRegistry, tmp_path: Path) -> str:
    """A new image of two layers, in the registry and on no engine."""
    image = f"{registry.host}/binder-images/{os.urandom(4).hex()}:1"
    folder = tmp_path / "image"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).write_bytes(os.urandom(_LAYER))
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY one /one\nCOPY two /two\nCMD ["/one"]\n')
    engine.run("build", "--quiet", "--tag", image, str(folder))
    engine.run("push", "--quiet", image)
    engine.run("rmi", image)
    return image


@asynccontextmanager
async def images(engine: Engine, url: str | None, *, cache: str | None = None) -> AsyncIterator[DockerImages]:
    """The store of a member on this engine."""
    async with adapter.Engine(engine.host) as client:
        if url is None:
            yield DockerImages(client, None, print, nothing)
            return
        place = Place("distribution", url, "127.0.0.1/x", engine.docker_config, cache=cache, timeout=5.0)
        async with open_registry(place, print) as registry:
            store = DockerImages(client, registry, print, nothing)
            yield store
            await store.close()


async def nothing(image: str) -> None:
    """No room is made here."""


async def fetched(store: DockerImages, image: str) -> list[str]:
    return [line async for line in store.fetch(image)]


async def test_a_pull_tells_how_far_it_is_and_is_shared(
    other: Engine, registry: RunningRegistry, pushed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_LINE_EVERY", 0.0)
    async with images(other, registry.url) as store:
        assert await store.check()
        assert await store.has(pushed)
        assert not await store.has(f"{pushed}2")
        contract = told_pull("docker/pull", tmp_path, store, pushed)
        told = await asyncio.gather(contract, *(fetched(store, pushed) for _ in range(2)))
        assert told[0] == told[1] == told[2]
        assert told[0][0] == "Pulling the image from the registry\n"
        assert any(line.endswith(" of 42 MB\n") for line in told[0])
        assert told[0][-2] == "Pulling the image: 42 MB came, unpacking\n"
        assert told[0][-1].startswith("The image is ready on this member after ")
        assert await fetched(store, pushed) == []
    assert pushed in other.run("images", "--format", "{{.Repository}}:{{.Tag}}")


async def test_lines_do_not_come_faster_than_people_read(
    other: Engine, registry: RunningRegistry, pushed: str
) -> None:
    started = asyncio.get_running_loop().time()
    async with images(other, registry.url) as store:
        told = await fetched(store, pushed)
    assert len(told) <= 3 + asyncio.get_running_loop().time() - started


async def test_a_pull_goes_on_when_its_watcher_leaves_and_ends_with_the_member(
    other: Engine, registry: RunningRegistry, pushed: str
) -> None:
    async with images(other, registry.url) as store:
        lines = store.fetch(pushed)
        await anext(lines)
        await lines.aclose()  # type: ignore[attr-defined]
        assert (await fetched(store, pushed))[-1].startswith("The image is ready")
        other.run("rmi", pushed)
        waiting = asyncio.create_task(fetched(store, pushed))
        await asyncio.sleep(0.05)
        await store.close()
        with pytest.raises(LaunchFailed, match="shutting down"):
            await waiting


async def test_a_pull_goes_by_the_cache_and_past_a_dead_one(
    other: Engine, registry: RunningRegistry, pushed: str, tmp_path: Path
) -> None:
    cache = start_registry(tmp_path / "cache", more=f"proxy: {{remoteurl: '{registry.url}'}}")
    listing = ("images", "--format", "{{.Repository}}:{{.Tag}}")
    try:
        async with images(other, registry.url, cache=cache.url) as store:
            assert len(await fetched(store, pushed)) >= 2
            assert any((tmp_path / "cache" / "data").rglob(pushed.rpartition(":")[0].rpartition("/")[2]))
            assert pushed in other.run(*listing)
            assert cache.host not in other.run(*listing)
            other.run("rmi", pushed)
            cache.kill()
            told = await fetched(store, pushed)
            assert "Pulling the image from the registry itself\n" in told
            assert pushed in other.run(*listing)
    finally:
        cache.kill()


async def test_a_registry_that_is_down(
    engine: Engine, other: Engine, pushed: str, tmp_path: Path, registry: RunningRegistry
) -> None:
    """What is on the engine can still be launched; what is not is neither called missing nor built again."""
    own = start_registry(tmp_path / "own")
    image = f"{own.host}/binder-images/mine:1"
    async with images(other, registry.url) as store:
        await fetched(store, pushed)
    other.run("tag", pushed, image)
    async with images(other, own.url) as store:
        assert not await store.has(image)
        own.kill()
        assert not await store.check()
        assert await store.has(image)
        assert await fetched(store, image) == []
        with pytest.raises(BuildBroken, match="registry of this federation's images does not answer"):
            await told_pull("docker/registry-gone", tmp_path, store, f"{own.host}/binder-images/another:1")
        with pytest.raises(LaunchFailed, match="could not be pulled"):
            await fetched(store, f"{own.host}/binder-images/another:1")


class KnownOnly:
    """A store from which an image went between the look for it and its pull."""

    def __init__(self, store: DockerImages) -> None:
        self.fetch, self.check = store.fetch, store.check

    async def has(self, image: str) -> bool:
        return True


async def test_an_image_that_is_nowhere(other: Engine, registry: RunningRegistry, tmp_path: Path) -> None:
    image = f"{registry.host}/binder-images/nowhere:1"
    async with images(other, registry.url) as store:
        with pytest.raises(LaunchFailed, match=f"Image {image} could not be pulled: .*(not found|unknown)"):
            await told_pull("docker/image-gone", tmp_path, KnownOnly(store), image)


async def test_without_a_registry_the_engine_is_the_store(
    other: Engine, registry: RunningRegistry, pushed: str
) -> None:
    async with images(other, None) as store:
        assert not await store.has(pushed)
        with pytest.raises(LaunchFailed, match="it has no registry"):
            await fetched(store, pushed)
        other.run("pull", "--quiet", pushed)
        assert await store.has(pushed)
        assert await fetched(store, pushed) == []


def put(engine: Engine, folder: Path, name: str, *, label: str = "repo2docker.repo") -> str:
    """An image of 3 MB of its own, on the engine."""
    (folder / "content").write_bytes(os.urandom(3 << 20))
    (folder / "Dockerfile").write_text(f'FROM scratch\nLABEL {label}=x\nCOPY content /\nCMD ["/x"]\n')
    engine.run("build", "--quiet", "--tag", name, str(folder))
    return name


async def test_room_is_made_by_the_longest_unused(other: Engine, tmp_path: Path) -> None:
    """And by nothing that somebody uses, just used, or named otherwise than builds do."""
    prefix = "127.0.0.1:5000/room-"
    old, older, running, twice, fresh = (
        put(other, tmp_path, f"{prefix}{name}-0123ab:1") for name in ("a", "b", "c", "d", "e")
    )
    foreign = [
        put(other, tmp_path, f"{prefix}f-0123ab:1", label="other"),
        put(other, tmp_path, f"{prefix}f:1"),
        put(other, tmp_path, "127.0.0.1:5000/f-0123ab:1"),
    ]
    other.run("tag", twice, "mine:1")
    other.run("create", "--name", "holds", running)
    lost = put(other, tmp_path, "nameless:1")
    nameless = other.run("image", "inspect", "--format", "{{.Id}}", lost).strip()
    other.run("tag", old, lost)
    other.run("rmi", lost)
    now = time.time() + 3 * 3600

    def left() -> set[str]:
        return set(other.run("images", "--format", "{{.Repository}}:{{.Tag}}").split())

    async with adapter.Engine(other.host) as engine:

        def room(limit: int | None) -> EngineRoom:
            return EngineRoom(
                engine, image_prefix=prefix, images=limit, cache=0, clock=lambda: now, tell=print
            )

        usual = room(None)
        assert await usual.make() == []
        assert nameless not in other.run("image", "ls", "--all", "--no-trunc", "--quiet")
        assert other.run("system", "df", "--format", "{{.Type}} {{.Size}}").count("Build Cache 0B") == 1
        taken = (await engine.shelf()).taken(prefix)
        assert await room(taken).make() == []
        # Two of 3 MB must go, of which `older` was used last before `old` was.
        narrow = room(taken - (4 << 20))
        now -= 7200
        await narrow.using(old)
        now += 7200
        await narrow.using(fresh)
        assert await narrow.make() == [older, old]
        await narrow.using(fresh)
        none = room(1)
        await none.using(fresh)
        assert await none.make() == []
    assert {running, twice, "mine:1", fresh, *foreign} <= left()
    assert not {old, older} & left()
    other.run("rm", "holds")


async def test_a_pull_that_never_comes_to_an_end_is_given_up(
    registry: RunningRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dripping(adapter.Engine):
        async def has(self, image: str) -> bool:
            return False

        async def pull(self, image: str, credentials: Credentials | None = None) -> AsyncIterator[str]:
            while True:
                yield "Pulling the image: 1 of 1000 MB\n"
                await asyncio.sleep(0.05)

    monkeypatch.setattr(docker_images, "_PULL_LIMIT", 0.3)
    place = Place("distribution", registry.url, f"{registry.host}/x", tmp_path)
    async with asyncio.timeout(20), open_registry(place, print) as opened:
        store = DockerImages(Dripping("unix:///x"), opened, print, nothing)
        with pytest.raises(LaunchFailed, match="could not be pulled within"):
            await fetched(store, f"{registry.host}/x-012345:1")
        await store.close()


async def test_an_image_wanted_while_it_leaves_is_waited_for() -> None:
    """Or a launch would find it, and the container's start would not."""
    order: list[str] = []
    leaving = asyncio.Event()

    class Leisurely(adapter.Engine):
        async def clear(self, cache: int | None) -> None: ...

        async def came(self, image: str) -> float:
            return 0.0

        async def shelf(self) -> Shelf:
            return Shelf((Shelved(("x-0123ab:1",), 9, 0, built=True),), 9 if not order else 0)

        async def untag(self, image: str) -> None:
            leaving.set()
            await asyncio.sleep(0.05)
            order.append("gone")

    room = EngineRoom(
        Leisurely("unix:///x"), image_prefix="", images=1, cache=None, clock=time.time, tell=print
    )
    making = asyncio.create_task(room.make())
    await leaving.wait()
    await room.using("another:1")
    assert order == []
    await room.using("x-0123ab:1")
    assert order == ["gone"]
    assert await making == ["x-0123ab:1"]


async def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    async with adapter.Engine(f"unix://{tmp_path}/no.sock") as gone:
        store = DockerImages(gone, None, print, nothing)
        assert not await store.check()
        with pytest.raises(BuildBroken, match="engine of this member does not answer"):
            await store.has("any:1")
        with pytest.raises(EngineDown, match=r"docker\.host"):
            await gone.version()
