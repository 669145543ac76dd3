"""A stage for acceptance tests: BinderHubs with seats and sessions, each behind a proxy that can be made to fail.

Times are scaled: what takes a minute and a half in production takes a second here.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import Any

from aiohttp import ClientError, web
from door_stage import Door, Launched, StockMember, event
from fault_proxy import FaultProxy, fault_proxy
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.aiohttp import make_aiohttp_handler

from federation.core.model import Member
from federation.core.rules import HealthRules, LaunchRules

FIRST, LAST = 1e9, 1e-9  # weights by which a member comes first, or last, whatever the hash says
STUCK_AFTER = 1.0
# For tests in which nobody is slow on purpose: a busy machine is not to be taken for a sick member.
LAUNCH = LaunchRules(timeout=20, stuck_after=10, connect_timeout=10, retry_budget=1.0)
HEALTH = HealthRules(interval=0.2, timeout=5, fall=2, rise=2, eject_base=0.3, eject_max=5, slow_start=0.5)
# And for those in which somebody hangs.
HASTY_LAUNCH = replace(LAUNCH, stuck_after=STUCK_AFTER, connect_timeout=1)
HASTY_HEALTH = replace(HEALTH, timeout=0.5)

FULL = event(phase="failed", message="Too many users on this BinderHub! Try again soon.\n")
BUILT = event(phase="built", imageName="image:1", message="Found built image, launching...\n")
LAUNCHING = event(phase="launching", message="Launching server...\n")
NO_PULL = event(phase="failed", message="Image image:1 for user x took too long to launch\n", status_code=500)


class LaunchFailed(Exception):
    """The end of a launch whose visitor reads this event."""

    def __init__(self, told: bytes) -> None:
        super().__init__(told)
        self.told = told


class Hub(StockMember):
    """A BinderHub that holds a seat for each launch that it lets in, and for its session as long as that is read.

    `quota` is what `/health` tells, as it was up to `stale` seconds ago; `takes` how many it can really hold;
    `others` how many sessions it has from elsewhere; `keeps` for how many seconds a session waits to be opened, after
    which it is gone: one that is opened later takes a seat that nobody knows of. A front door reaches it through
    `proxy`, visitors do not.
    """

    def __init__(
        self, name: str, *, quota: int = 100, takes: int | None = None, stale: float = 0.0, keeps: float = 1.0
    ) -> None:
        super().__init__(name, self.launch)
        self.quota = quota
        self.takes = quota if takes is None else takes
        self.stale = stale
        self.keeps = keeps
        self.others = 0
        self.refusals = 0
        self.pull = pulls
        self.ours: set[int] = set()  # launches and sessions that hold a seat
        self.proxy: FaultProxy
        self._numbers = iter(range(1, 1_000_000))
        self._figure = (0.0, 0)
        self._around = AsyncExitStack()
        self._registry = CollectorRegistry()
        labels = ["status", "retries"]
        self._times = Histogram("binderhub_launch_time_seconds", "t", labels, registry=self._registry)
        for status in ("success", "failure"):
            self._times.labels(status, "0")
        for gauge in ("builds", "launches"):
            Gauge(f"binderhub_inprogress_{gauge}", "g", registry=self._registry).set(0)

    async def __aenter__(self) -> Hub:
        await self.start()
        self.proxy = await self._around.enter_async_context(fault_proxy("127.0.0.1", self.port))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._around.aclose()
        await self.die()

    def configured(self, weight: float = 1.0, **more: Any) -> Member:
        return Member(self.name, f"http://{self.proxy.host}", weight, **more)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/user/{number}/", self._session)
        app.router.add_get("/metrics", make_aiohttp_handler(self._registry))

    @property
    def used(self) -> int:
        return len(self.ours) + self.others

    async def launch(self, request: web.Request, response: web.StreamResponse) -> None:
        """What `/build` tells while nothing is wrong but what `pull` does."""
        if self.used >= self.takes:
            self.refusals += 1
            await response.write(FULL)
            return
        with self._seat() as number:
            begun, status = time.monotonic(), "failure"
            try:
                await response.write(BUILT + LAUNCHING)
                await self.pull(request, response)
                status = "success"
            except LaunchFailed as failure:
                await response.write(failure.told)
                return
            finally:
                self._times.labels(status, "0").observe(time.monotonic() - begun)
            url = f"http://127.0.0.1:{self.port}/user/{number}/"
            self.ours.add(-number)  # the session, from now on
            asyncio.get_running_loop().call_later(self.keeps, self._cull, number)
            await response.write(event(phase="ready", message="running\n", url=url, token="t"))
        await asyncio.Event().wait()  # a stock member holds the connection after ready

    async def _session(self, request: web.Request) -> web.StreamResponse:
        """A session's own stream; it ends with it."""
        number = int(request.match_info["number"])
        response = web.StreamResponse()
        self.ours.discard(-number)
        self.ours.add(number)
        try:
            await response.prepare(request)
            await asyncio.Event().wait()
        finally:
            self.ours.discard(number)
        return response

    def _cull(self, number: int) -> None:
        """One that nobody opened."""
        self.ours.discard(-number)

    @contextmanager
    def _seat(self) -> Iterator[int]:
        number = next(self._numbers)
        self.ours.add(number)
        try:
            yield number
        finally:
            self.ours.discard(number)

    async def _health(self, request: web.Request) -> web.Response:
        self.looks += 1
        at, used = self._figure
        if time.monotonic() - at >= self.stale:
            used = self.used
            self._figure = (time.monotonic(), used)
        ok = used < self.quota
        quota = {"service": "Pod quota", "total_pods": used, "quota": self.quota, "ok": ok}
        checks = [{"service": "JupyterHub API", "ok": True}, quota]
        return web.json_response({"ok": ok, "checks": checks}, status=200 if ok else 503)


async def pulls(request: web.Request, response: web.StreamResponse) -> None:
    """The image comes."""
    await asyncio.sleep(0.02)


async def never_pulls(request: web.Request, response: web.StreamResponse) -> None:
    """The image never comes, and the connection is kept alive."""
    while True:
        await asyncio.sleep(0.1)
        await response.write(b":keepalive\n\n")


async def fails_to_pull(request: web.Request, response: web.StreamResponse) -> None:
    raise LaunchFailed(NO_PULL)


@asynccontextmanager
async def three(*quotas: int, **options: Any) -> AsyncIterator[list[Hub]]:
    """Three hubs named alpha, beta and gamma."""
    async with AsyncExitStack() as stack:
        names, sizes = ("alpha", "beta", "gamma"), quotas or (100, 100, 100)
        yield [
            await stack.enter_async_context(Hub(name, quota=size, **options))
            for name, size in zip(names, sizes, strict=True)
        ]


def ranked(hubs: list[Hub]) -> list[Member]:
    """The first of them comes first for every repository, the others in their order."""
    weights = (FIRST, 1.0, LAST)
    return [hub.configured(weight) for hub, weight in zip(hubs, weights, strict=True)]


def equal(hubs: list[Hub]) -> list[Member]:
    return [hub.configured() for hub in hubs]


def repo(name: object, ref: object = "HEAD") -> str:
    return f"/build/gh/acceptance/{name}/{ref}"


@asynccontextmanager
async def visitors(door: Door) -> AsyncIterator[Visitors]:
    """Visitors who click and, when they are ready, stay in their sessions until the block ends."""
    found = Visitors(door)
    try:
        yield found
    finally:
        await found.leave()


class Visitors:
    def __init__(self, door: Door) -> None:
        self._door = door
        self._sessions: list[asyncio.Task[None]] = []
        self.launched: list[Launched] = []

    async def come(self, path: str) -> Launched:
        launched = await self._door.launch(path)
        self.launched.append(launched)
        if launched.last["phase"] == "ready":
            opened = asyncio.Event()
            self._sessions.append(asyncio.create_task(self._stay(launched.last["url"], opened)))
            await opened.wait()
        return launched

    async def leave(self) -> None:
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        self._sessions.clear()

    async def _stay(self, url: str, opened: asyncio.Event) -> None:
        try:
            async with self._door.session.get(url) as answer:
                opened.set()
                with suppress(ClientError):
                    await answer.read()
        finally:
            opened.set()


def not_ready(launched: list[Launched]) -> list[dict[str, Any]]:
    """How the launches ended that did not end well."""
    return [one.last for one in launched if one.last["phase"] != "ready"]


def touched(launched: list[Launched], name: str) -> int:
    """Visitors who were sent to this member and had to go on elsewhere."""
    return sum(name in one.takers and len(one.takers) > 1 for one in launched)


async def told(door: Door, name: str) -> dict[str, Any]:
    """What the front door's API tells of one member."""
    members = (await door.json("/federation/v1/members"))["members"]
    return next(member for member in members if member["name"] == name)


async def metric(door: Door, name: str, **labels: str) -> float:
    """A figure of the front door's own metrics."""
    wanted = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    series = re.escape(f"{name}{{{wanted}}}" if wanted else name)
    found = re.search(rf"(?m)^{series} (\S+)$", await door.text("/metrics"))
    assert found is not None, f"no {name} of {labels}"
    return float(found[1])
