"""A front door with operators over three members, for tests of the console and for its pictures in the docs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from door_stage import FAST, SOON, Door, StockMember, event, until

from federation.core.model import Signal, State
from federation.core.rules import Operator, PrometheusRules, Role
from federation.web.identity import COOKIE, SESSIONS, digest

OPERATOR, VIEWER = "operators-token", "viewers-token"
PEOPLE = (
    Operator("Olga", Role.OPERATOR, (digest(OPERATOR),)),
    Operator("Oskar", Role.OPERATOR, (digest("another-token"),)),
    Operator("Vera", Role.VIEWER, (digest(VIEWER),)),
)
MEMBERS = {"hetzner-2i2c": (300.0, 112, 300), "gesis": (180.0, 48, 180), "ovh": (60.0, 7, 60)}
VERSIONS = b'{"binderhub": "1.0.0", "builder_info": {"build_image": "repo2docker:2026.4.0"}}'


@dataclass
class ConsoleScene:
    door: Door
    members: dict[str, StockMember]

    @property
    def base(self) -> str:
        return str(self.door.url).rstrip("/")

    def session(self, token: str = OPERATOR) -> str:
        """The key of a session that a token began."""
        return self.door.runner.app[SESSIONS].begin(token, self.door.door.clock.now())

    async def patch(self, name: str, token: str, **change: Any) -> None:
        """What an operator does elsewhere."""
        url = f"{self.base}/federation/v1/members/{name}"
        headers = {"Authorization": f"Bearer {token}", "If-Match": "*"}
        async with self.door.session.patch(url, json=change, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def visit(self, *specs: str) -> None:
        """Visitors' launches."""
        await asyncio.gather(*(self.door.launch(f"/build/gh/{spec}") for spec in specs))

    def cookie(self, token: str = OPERATOR) -> dict[str, Any]:
        return {"name": COOKIE, "value": self.session(token), "url": self.base, "httpOnly": True}


@asynccontextmanager
async def console_scene(folder: Path) -> AsyncIterator[ConsoleScene]:
    """`folder` keeps its state."""
    async with AsyncExitStack() as stack:
        members = {}
        for name, (_, used, quota) in MEMBERS.items():
            member = members[name] = await stack.enter_async_context(StockMember(name, launched))
            pods = {"service": "Pod quota", "ok": True, "total_pods": used, "quota": quota}
            member.told = {"ok": True, "checks": [{"service": "JupyterHub API", "ok": True}, pods]}
            member.versions = VERSIONS
        configured = [member.configured(MEMBERS[name][0]) for name, member in members.items()]
        signals = PrometheusRules(scrape=False, interval=3600)  # what is told of them below stays
        rules: dict[str, Any] = {"launch": FAST, "health": SOON, "prometheus": signals}
        door = Door(*configured, operators=PEOPLE, state_folder=str(folder), **rules)
        await stack.enter_async_context(door)
        await until(lambda: all(door.state(name) is State.HEALTHY for name in members))
        builds = {
            "builds": Signal(2.0, door.door.clock.now()),
            "launches": Signal(31.0, door.door.clock.now()),
        }
        door.door.pool.signalled("gesis", builds, 0, 0)
        yield ConsoleScene(door, members)


async def launched(request: web.Request, response: web.StreamResponse) -> None:
    """A launch whose session is on the member's own address, where nobody serves it."""
    url = f"http://{request.host}/user/visitor/"
    await response.write(event(phase="fetching", message="Cloning the repository\n"))
    await response.write(
        event(phase="built", imageName="image:1", message="Found built image, launching...\n")
    )
    await response.write(event(phase="launching", message="Launching server...\n"))
    await response.write(event(phase="ready", message=f"server running at {url}\n", url=url, token="t0ken"))
    await asyncio.Event().wait()
