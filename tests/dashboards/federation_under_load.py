"""A front door and members that have everything happen to them that a board tells of, in a few seconds.

The front door is the real one. Members answer as stock BinderHubs do, and count what they did with the metrics of our
own, which are those of a stock BinderHub.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from aiohttp import web
from door_stage import FAST, READY, SOON, Door, Play, StockMember, event, until

from federation.core.facts import LoopFailed
from federation.core.model import MemberCosts, State
from federation.core.rules import CanaryRules, IncidentRules, WaitingRules
from members.adapters.metrics import Metrics
from members.core.facts import BuildEnded, BuildStarted, LaunchEnded, LaunchRetried, LaunchStarted, RateLimit

REPO, IMAGE = "https://github.com/binder-examples/requirements", "image:1"
OF = ("gh", REPO, IMAGE)
BUILDING = event(phase="building", message="Step 1 of 1\n")
BUILT = event(phase="built", imageName=IMAGE, message="Built image, launching...\n")
LAUNCHING = event(phase="launching", message="Launching server...\n")
NO_START = event(phase="failed", message="Failed to connect to http://hub.example/hub/api: timed out\n")
NO_BUILD = event(phase="failed", message="Build failed: its requirements contradict each other\n")
SEATS = 40


class CountingMember(StockMember):
    """A BinderHub with seats and with metrics. Every play of it is counted as what it was."""

    def __init__(self, name: str, play: Play | None = None) -> None:
        super().__init__(name)
        self.metrics = Metrics({"gh": "GitHub"})
        self.metrics.listen(RateLimit(4900))
        self.metrics.loop_interval(0.02)
        self.play = play or self.builds
        self.fill(1)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/metrics", self._metrics)

    def fill(self, used: int) -> None:
        """So many of its seats are taken."""
        ok = used < SEATS
        quota = {"service": "Pod quota", "total_pods": used, "quota": SEATS, "ok": ok}
        self.told = {"ok": ok, "checks": [{"service": "JupyterHub API", "ok": True}, quota]}
        self.status = 200 if ok else 503

    async def builds(self, request: web.Request, response: web.StreamResponse) -> None:
        self.metrics.listen(BuildStarted(*OF))
        await response.write(BUILDING)
        self.metrics.listen(BuildEnded(*OF, "success", 2.0))
        await response.write(BUILT)
        await self.launches(request, response)

    async def launches(self, request: web.Request, response: web.StreamResponse) -> None:
        self.metrics.listen(LaunchStarted(*OF))
        await response.write(LAUNCHING)
        self.metrics.listen(LaunchRetried(IMAGE, 0, 1.0, "slow"))
        self.metrics.listen(LaunchEnded(*OF, "success", 1, 1.0))
        await response.write(event(**READY))
        await asyncio.Event().wait()

    async def fails_to_start(self, request: web.Request, response: web.StreamResponse) -> None:
        self.metrics.listen(LaunchStarted(*OF))
        await response.write(BUILT + LAUNCHING)
        self.metrics.listen(LaunchEnded(*OF, "failure", 0, 1.0))
        await response.write(NO_START)

    async def fails_to_build(self, request: web.Request, response: web.StreamResponse) -> None:
        self.metrics.listen(BuildStarted(*OF))
        await response.write(BUILDING)
        self.metrics.listen(BuildEnded(*OF, "failure", 2.0, "its requirements"))
        await response.write(NO_BUILD)

    async def stands_still(self, request: web.Request, response: web.StreamResponse) -> None:
        await response.write(BUILT + LAUNCHING)
        await asyncio.Event().wait()

    async def _metrics(self, request: web.Request) -> web.Response:
        body, kind = self.metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind})


@dataclass
class Federation:
    """One front door, and four members: two that are well, one that is drained, one that will be killed."""

    door: Door
    alpha: CountingMember
    beta: CountingMember
    killed: CountingMember
    drained: CountingMember
    number: int = 0

    @property
    def members(self) -> tuple[CountingMember, ...]:
        return self.alpha, self.beta, self.killed, self.drained

    async def launch(self, member: str = "", repo: str = "") -> str:
        """A launch of a repository of its own; returns the phase it ended in."""
        self.number += 1
        query = f"?member={member}" if member else ""
        told = await self.door.launch(f"/build/gh/load/{repo or self.number}/HEAD{query}")
        return str(told.last.get("phase"))

    async def everything(self) -> None:
        """What the boards tell of, once."""
        await asyncio.gather(*(self.launch() for _ in range(6)), self.launch("alpha", "same"))
        assert await self._with_alpha(self.alpha.fails_to_build) == "failed"
        assert await self._with_alpha(self.alpha.fails_to_start) == "ready"  # by another member
        assert await self._with_alpha(self.alpha.stands_still) == "ready"
        await self._alpha_is_well()

    async def fill(self) -> None:
        """All seats are taken for a while, and more launches come than may wait."""
        taking = (self.alpha, self.beta, self.killed)
        for member in taking:
            member.fill(SEATS)
        await until(lambda: all(self._full(member.name) for member in taking))
        waiting = [asyncio.create_task(self.launch()) for _ in range(4)]
        await until(lambda: self.door.door.line.waiting == 3)
        await asyncio.sleep(0.1)
        for member in taking:
            member.fill(2)
        assert sorted([await each for each in waiting]) == ["failed", "ready", "ready", "ready"]

    def break_a_loop(self) -> None:
        self.door.door.tell(LoopFailed("a loop of the test", RuntimeError("broken")))

    async def kill(self) -> None:
        await self.killed.die()
        await until(lambda: self.door.state("killed") is State.EJECTED)

    async def _with_alpha(self, play: Play) -> str:
        """A launch on which alpha does this; it must be well for a launch to come to it."""
        before, phase = self._visits(), ""
        async with asyncio.timeout(20):
            while self._visits() == before:
                await self._alpha_is_well()
                self.alpha.play = play
                phase = await self.launch("alpha")
        return phase

    async def _alpha_is_well(self) -> None:
        self.alpha.play = self.alpha.builds
        await until(lambda: self.door.state("alpha") is State.HEALTHY, 20)

    def _visits(self) -> int:
        return sum("canary" not in request.path for request in self.alpha.requests)

    def _full(self, name: str) -> bool:
        view = self.door.door.pool.view(name)
        return view is not None and view.free == 0


@asynccontextmanager
async def federation() -> AsyncIterator[Federation]:
    async with AsyncExitStack() as stack:
        alpha, beta, killed, drained = [
            await stack.enter_async_context(CountingMember(name))
            for name in ("alpha", "beta", "killed", "drained")
        ]
        members = [
            alpha.configured(2.0, costs=MemberCosts(monthly=100.0, cap=150.0)),
            beta.configured(1.0, costs=MemberCosts(monthly=60.0)),
            killed.configured(1.0),
            drained.configured(0.0, drained="drained: new nodes"),
        ]
        door = Door(
            *members,
            launch=replace(FAST, stuck_after=0.3, retry_budget=1.0),
            health=replace(SOON, canary=CanaryRules("gh/load/canary/HEAD", 0.5)),
            waiting=WaitingRules(places=3),
            incidents=IncidentRules(member_out=0.5),
        )
        yield Federation(await stack.enter_async_context(door), alpha, beta, killed, drained)
