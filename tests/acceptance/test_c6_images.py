"""C6: one build per federation, however many click and however they spell the ref; then launches go to its image."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from acceptance_stage import HEALTH, LAUNCH, Hub, equal, not_ready, pulls
from aiohttp import web
from door_stage import Door, event, until

from federation.core.model import State
from federation.core.rules import RefRules

BUILD_TIME = 0.6  # seconds


@dataclass
class Registry:
    """The images that all members find, by commit."""

    images: set[str] = field(default_factory=set)


class Repository:
    """A real one on disk, whose newest commit has no image yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._git("init", "--quiet", "--initial-branch", "main")
        self.commit()

    def commit(self) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        self._git(*who, "commit", "--quiet", "--allow-empty", "--message", "more")
        return self._git("rev-parse", "HEAD")

    def launch(self, ref: str, *, upper: bool = True) -> str:
        url = quote(f"file://{self.folder}", safe="")
        return f"/build/git/{url if upper else url.replace('%2F', '%2f')}/{ref}"

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Builder(Hub):
    """A hub that resolves refs with git and builds an image when the registry has none; one build for one commit."""

    def __init__(self, name: str, registry: Registry) -> None:
        super().__init__(name, quota=200)
        self.registry = registry
        self.builds: Counter[str] = Counter()
        self.found: list[bool] = []  # of each launch: whether the image was there when it came
        self._building: dict[str, asyncio.Task[None]] = {}
        self._resolving: dict[str, asyncio.Task[str]] = {}
        self.play = self.build_and_launch

    async def build_and_launch(self, request: web.Request, response: web.StreamResponse) -> None:
        commit = await self._resolve(request.rel_url.raw_path)
        self.found.append(commit in self.registry.images)
        message = "Found built image, launching...\n"
        with self._seat() as number:
            if commit not in self.registry.images:
                await response.write(event(phase="waiting", message="Waiting for build to start...\n"))
                if commit not in self._building:
                    self.builds[commit] += 1
                    self._building[commit] = asyncio.create_task(self._build_image(commit))
                await response.write(event(phase="building", message="Step 1 of 1\n"))
                await asyncio.shield(self._building[commit])
                message = "Built image, launching...\n"
            await response.write(event(phase="built", imageName=f"registry/image:{commit}", message=message))
            await response.write(event(phase="launching", message="Launching server...\n"))
            await pulls(request, response)
            url = f"http://127.0.0.1:{self.port}/user/{number}/"
            await response.write(event(phase="ready", message="running\n", url=url, token="t"))
            await asyncio.Event().wait()

    async def _resolve(self, path: str) -> str:
        """One question to git for all who ask the same: a hundred processes at once would silence the whole stage."""
        if path not in self._resolving:
            self._resolving[path] = asyncio.create_task(_resolved(path))
            self._resolving[path].add_done_callback(lambda _: self._resolving.pop(path))
        return await asyncio.shield(self._resolving[path])

    async def _build_image(self, commit: str) -> None:
        await asyncio.sleep(BUILD_TIME)
        self.registry.images.add(commit)
        del self._building[commit]


async def _resolved(path: str) -> str:
    _, _, _, url, ref = path.split("/", 4)
    folder = unquote(url).removeprefix("file://")
    git = await asyncio.create_subprocess_exec(
        "git", "-C", folder, "rev-parse", unquote(ref), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await git.communicate()
    return told.decode().strip()


@asynccontextmanager
async def three_builders() -> AsyncIterator[list[Builder]]:
    registry = Registry()
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Builder(name, registry)) for name in ("alpha", "beta", "gamma")
        ]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def spellings(repository: Repository, commit: str) -> list[str]:
    return [
        repository.launch("main"),
        repository.launch("HEAD"),
        repository.launch(commit),
        repository.launch("refs%2Fheads%2Fmain"),
        repository.launch("main", upper=False),
    ]


@pytest.mark.parametrize("pause", [0.0, 0.01], ids=["at once", "over a second"])
async def test_a_hundred_clicks_on_a_new_commit_in_several_spellings_make_exactly_one_build(
    repository: Repository, tmp_path: Path, pause: float
) -> None:
    refs = RefRules(file_roots=(str(tmp_path),))
    async with (
        three_builders() as hubs,
        Door(*equal(hubs), launch=LAUNCH, health=HEALTH, refs=refs) as door,
    ):
        for _ in range(2):  # and one more for the next commit
            commit = repository.commit()
            door.door.refs._answers.clear()  # as a minute later
            spelled = spellings(repository, commit)
            clicks = []
            for number in range(100):
                clicks.append(asyncio.create_task(door.launch(spelled[number % len(spelled)])))
                await asyncio.sleep(pause)
            launched = await asyncio.gather(*clicks)
            assert not_ready(launched) == []
            assert sum(hub.builds[commit] for hub in hubs) == 1
            assert {told["imageName"] for one in launched for told in one.events if "imageName" in told} == {
                f"registry/image:{commit}"
            }


async def test_launches_after_the_build_go_to_the_holder_while_it_is_fit_and_elsewhere_when_not(
    repository: Repository, tmp_path: Path
) -> None:
    refs = RefRules(file_roots=(str(tmp_path),))
    async with three_builders() as hubs:
        commit = repository.commit()
        async with Door(*equal(hubs), launch=LAUNCH, health=HEALTH, refs=refs) as door:
            first = await door.launch(repository.launch("main"))
            [name] = first.takers
            holder = next(hub for hub in hubs if hub.name == name)
            # Whatever the hash of it says: another one was to come first for this repository from now on.
            members = [hub.configured(0.001 if hub is holder else 1.0) for hub in hubs]
            door.reconfigure(members)
            for path in spellings(repository, commit):
                assert (await door.launch(path)).takers == [name]
            why = (await door.json("/federation/v1/decisions?limit=1"))["decisions"][0]["attempts"][0]["why"]
            assert why == "it holds the image"

            holder.others = holder.quota  # full is not fit
            await until(lambda: next(v for v in door.door.pool.views() if v.member.name == name).refusal)
            elsewhere = await door.launch(repository.launch("main"))
            assert elsewhere.takers != [name] and elsewhere.last["phase"] == "ready"
            holder.others = 0
            await until(
                lambda: next(v for v in door.door.pool.views() if v.member.name == name).refusal is None
            )

            holder.proxy.cut()  # neither is dead
            await until(lambda: door.state(name) is State.EJECTED)
            for path in spellings(repository, commit):
                launched = await door.launch(path)
                assert name not in launched.takers and launched.last["phase"] == "ready"
            assert sum(hub.builds.total() for hub in hubs) == 1
            assert all(found for hub in hubs for found in hub.found[(hub is holder) :])
