"""Launches that an operator sends to one member: there and nowhere else, few at a time, and as nobody's visit."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from door_stage import Door, StockMember, event, plays, until

from federation.core.facts import AttemptEnded, CanaryEnded, Chosen, Fact, LaunchEnded, Outcome
from federation.core.rules import Operator, Role
from federation.web.identity import digest
from federation.web.launch_test import TESTS

SPEC = "gh/binder-examples/conda/HEAD"
PEOPLE = (
    Operator("olga", Role.OPERATOR, (digest("o"),)),
    Operator("vera", Role.VIEWER, (digest("v"),)),
)
STILL = plays(event(phase="launching", message="…"), hold=True)


class Ends:
    """Notes which sessions are asked to end."""

    def __init__(self, ended: list[str]) -> None:
        self._ended = ended

    async def end(self, url: str, token: str) -> None:
        self._ended.append(f"{url} {token}")


@dataclass
class Scene:
    """A front door over alpha, which is well, and beta, which is drained."""

    door: Door
    alpha: StockMember
    beta: StockMember
    facts: list[Fact] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def ask(self, name: str = "alpha", spec: str = SPEC, token: str = "o", **headers: str) -> Any:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        path = f"/federation/v1/members/{name}/launch?spec={spec}"
        return self.door.ask(path, headers={**bearer, **headers})

    async def test(self, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What the member said, and the end."""
        async with self.ask(name) as answer:
            assert answer.content_type == "text/event-stream"
            body = await answer.read()
        assert b"t0ken" not in body and b"/user/x" not in body
        *said, end = (json.loads(data) for data in re.findall(rb"^data: (.*)$", body, re.MULTILINE))
        assert body.count(b"event: end\n") == 1
        return said, end

    def told(self, kind: type[Fact]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        alpha = await stack.enter_async_context(StockMember("alpha"))
        beta = await stack.enter_async_context(StockMember("beta"))
        door = Door(alpha.configured(), beta.configured(0.0), operators=PEOPLE)
        await stack.enter_async_context(door)
        scene, tests = Scene(door, alpha, beta), door.runner.app[TESTS]
        door.door.subscribe(scene.facts.append)

        async def success(request: web.Request, response: web.StreamResponse) -> None:
            url = f"http://{request.host}/user/x/"
            await response.write(event(phase="launching", message="…"))
            ready = event(phase="ready", message=f"server running at {url}\n", url=url, token="t0ken")
            await response.write(ready)
            await asyncio.Event().wait()

        for member in (alpha, beta):
            member.play = success
        tests._own._sessions = Ends(scene.ended)
        yield scene
        await until(lambda: not alpha.open and not beta.open and tests.running == 0)
        assert [view.leases for view in door.door.pool.views()] == [0, 0]


async def test_one_member_is_launched_on_and_its_session_ended(scene: Scene) -> None:
    said, end = await scene.test("alpha")
    assert [one["phase"] for one in said] == ["launching", "ready"]
    assert end["outcome"] == "ready"
    assert [one["phase"] for one in end["phases"]] == ["connecting", "launching"]
    assert len(scene.alpha.requests) == 1 and not scene.beta.requests
    assert scene.ended == [f"http://127.0.0.1:{scene.alpha.port}/user/x/ t0ken"]
    # It is as good a proof as a canary, and nobody's visit.
    (canary,) = scene.told(CanaryEnded)
    assert (canary.member, canary.outcome) == ("alpha", Outcome.READY)
    assert canary.id < 0
    assert not scene.told(AttemptEnded) + scene.told(LaunchEnded) + scene.told(Chosen)
    assert (await scene.door.json("/federation/v1/decisions"))["decisions"] == []


async def test_a_drained_member_is_tested_and_nobody_hears_of_it(scene: Scene) -> None:
    _, end = await scene.test("beta")
    assert end["outcome"] == "ready"
    assert len(scene.beta.requests) == 1 and not scene.alpha.requests
    assert len(scene.ended) == 1
    assert not scene.told(CanaryEnded)


async def test_a_failure_is_told_and_goes_nowhere_else(scene: Scene) -> None:
    scene.alpha.play = plays(event(phase="launching", message="…"), event(phase="failed", message="no node"))
    said, end = await scene.test("alpha")
    assert [one["message"] for one in said] == ["…", "no node"]
    assert (end["outcome"], end["cause"], end["why"]) == ("lost", "launch", "no node")
    assert len(scene.alpha.requests) == 1 and not scene.beta.requests
    assert not scene.ended
    await scene.beta.die()
    _, end = await scene.test("beta")
    assert end["outcome"] == "lost"


async def test_two_at_a_time_and_the_third_is_told_so(scene: Scene) -> None:
    scene.alpha.play = STILL
    async with scene.ask() as first, scene.ask() as second:
        await until(lambda: scene.alpha.open == 2)
        async with scene.ask() as third:
            assert third.status == 429
            assert "2 launches are being tested" in (await third.json())["message"]
        for one in (first, second):
            one.close()  # the operator leaves, and the member's launch is left
    await until(lambda: scene.alpha.open == 0)
    await until(lambda: scene.door.runner.app[TESTS].running == 0)
    async with scene.ask() as fourth:
        assert fourth.status == 200
        fourth.close()


async def test_who_may_not_and_what_cannot(scene: Scene) -> None:
    for status, asked in (
        (401, scene.ask(token="")),
        (401, scene.ask(token="wrong")),
        (403, scene.ask(token="v")),
        (403, scene.ask(**{"Sec-Fetch-Site": "same-site"})),
        (404, scene.ask("gamma")),
        (400, scene.ask(spec="nonsense")),
    ):
        async with asked as answer:
            assert answer.status == status
            assert (await answer.json())["status"] == status
    assert not scene.alpha.requests and not scene.beta.requests
