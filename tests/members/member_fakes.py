"""The member's ports as small classes: what a test wants to happen, and what happened. Knows no test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from members.core.facts import Fact
from members.core.imagename import image_name
from members.core.model import BuildLine, HealthCheck, Resolved, SessionRequest

SHA = "667bf925d2cfa8ae028163f23ff103873c6f6ef5"
REPO = "git://127.0.0.1:9418/req.git"
SPEC = "git%3A%2F%2F127.0.0.1%3A9418%2Freq.git/main"


def resolved(repo: str = REPO, ref: str = SHA, spec: str = SPEC) -> Resolved:
    return Resolved(
        provider="git",
        spec=spec,
        repo_url=repo,
        ref=ref,
        ref_url=repo,
        resolved_spec=f"{spec.rpartition('/')[0]}/{ref}",
        build_slug=repo,
    )


IMAGE = image_name("", REPO, SHA)


@dataclass
class Listener:
    """Every fact that was told."""

    facts: list[Fact] = field(default_factory=list)

    def __call__(self, fact: Fact) -> None:
        self.facts.append(fact)

    def of(self, kind: type) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


class FakeProvider:
    """Answers each spec with what `answers` has for it: a version, None, or an error to raise."""

    def __init__(self, *, id: str = "git", name: str = "Git", head_fallback: bool = False) -> None:
        self.id, self.name, self.head_fallback = id, name, head_fallback
        self.answers: dict[str, Resolved | Exception | None] = {SPEC: resolved()}
        self.asked: list[str] = []

    async def resolve(self, spec: str) -> Resolved | None:
        self.asked.append(spec)
        answer = self.answers.get(spec)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def display(self) -> dict[str, object]:
        return {"displayName": self.name, "id": self.id}


class FakeStore:
    """Images by name. `fetch_lines` is what bringing one here tells."""

    def __init__(self, *images: str) -> None:
        self.images = set(images)
        self.fetch_lines: list[str] = []
        self.fetch_error: Exception | None = None
        self.well = True

    async def has(self, image: str) -> bool:
        await asyncio.sleep(0)
        return image in self.images

    async def fetch(self, image: str) -> AsyncIterator[str]:
        for line in self.fetch_lines:
            yield line
        if self.fetch_error is not None:
            raise self.fetch_error

    async def check(self) -> bool:
        return self.well


class FakeBuilder:
    """Builds tell `lines`, wait at `gate` after the first one, and end with `error` or a stored image."""

    def __init__(self, store: FakeStore, *lines: str) -> None:
        self.store = store
        self.lines = [BuildLine(line) for line in lines or ("one\n", "two\n", "three\n")]
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.at_once = 0
        self.most_at_once = 0

    async def build(self, source: Resolved, image: str) -> AsyncIterator[BuildLine]:
        self.begun.append(image)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for line in self.lines:
                yield line
                await asyncio.sleep(0)
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            self.store.images.add(image)
        finally:
            self.at_once -= 1
            self.ended.append(image)

    def info(self) -> dict[str, object]:
        return {"builder": "fake"}


class FakeSession:
    """One server that tells `messages`, waits at `gate` before the last, and then fails or is ready."""

    def __init__(self, hub: FakeHub, request: SessionRequest, number: int) -> None:
        self.hub, self.request = hub, request
        self.name = hub.next_name or f"req-{number}"
        self.url = f"{hub.url}user/{self.name}/"
        self.removed = False

    async def progress(self) -> AsyncIterator[str]:
        await asyncio.sleep(self.hub.create_pause)
        if self.hub.create_error is not None:
            raise self.hub.create_error
        self.hub.running.append(self)
        for message in self.hub.messages:
            yield message
        await self.hub.gate.wait()
        error = self.hub.errors.pop(0) if self.hub.errors else None
        if error is not None:
            raise error
        yield f"Server ready at /user/{self.name}/"

    async def remove(self) -> None:
        await asyncio.sleep(0)
        self.removed = True
        if self in self.hub.running:
            self.hub.running.remove(self)


class FakeHub:
    """A hub whose next launches fail with `errors`, one each (None: well)."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = "http://127.0.0.1:8000/"
        self.next_name = ""
        self.messages = ["Server requested"]
        self.errors: list[Exception | None] = []
        self.create_pause = 0.0
        self.create_error: Exception | None = None
        self.sessions_error: Exception | None = None
        self.sessions_pause = 0.0
        self.created: list[FakeSession] = []
        self.running: list[FakeSession] = []
        self.well = True

    def create(self, request: SessionRequest) -> FakeSession:
        session = FakeSession(self, request, len(self.created))
        self.created.append(session)
        return session

    async def sessions(self) -> dict[str, int]:
        counted: dict[str, int] = {}
        for session in self.running:
            counted[session.request.image] = counted.get(session.request.image, 0) + 1
        await asyncio.sleep(self.sessions_pause)
        if self.sessions_error is not None:
            raise self.sessions_error
        return counted

    async def check(self) -> HealthCheck:
        return HealthCheck("JupyterHub API", self.well)


async def until(condition: Callable[[], object], limit: float = 5.0) -> None:
    """Waits until the condition is true; fails the test after `limit` seconds."""
    async with asyncio.timeout(limit):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)
