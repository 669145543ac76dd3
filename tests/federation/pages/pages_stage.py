"""A front door as far as a browser sees one: the real pages over a real pool, and `/build/…` streams that
play a scene. The scene is named by the repository: `/build/gh/scene/<name>/HEAD`."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from federation.adapters.clock import SystemClock
from federation.adapters.incident_file import IncidentFile
from federation.adapters.state_file import StateFile
from federation.core.facts import Fact
from federation.core.history import DAY, Day, History, Presence, day_of
from federation.core.incident import Cause, Incident, Kind, noted
from federation.core.incidents import restored
from federation.core.model import Check, Member, Seats
from federation.core.rules import HealthRules, Settings, Suggestion
from federation.service.history import HistoryKeeper
from federation.service.incidents import Incidents
from federation.service.lately import RecentLaunches
from federation.service.pool import Pool
from federation.service.ports import ProbeResult
from federation.service.waiting_room import WaitingRoom
from federation.web import api, badges, history, incidents, middleware, pages, status
from federation.web.keys import POOL, RUNNING, Running

MEMBERS = (
    Member("hetzner-2i2c", "https://2i2c.example.org", 300.0, seats=300),
    Member("gesis", "https://gesis.example.org", 180.0),
    Member("ovh", "https://ovh.example.org", 60.0),
    Member("curvenote", "https://curvenote.example.org", 0.0),
)
SUGGESTIONS = (
    Suggestion("A first notebook", "gh", "scene/cached", text="Plots and a few sliders, ready at once."),
    Suggestion("NumPy & <matplotlib>", "gh", "scene/cold", text="Built from requirements.txt."),
    Suggestion(
        "A dashboard", "git", "https://example.org/app", text="Opens Voilà.", urlpath="/voila/x.ipynb"
    ),
)
SESSION = "user/alice/"
Say = Callable[[dict[str, Any]], Awaitable[None]]
VISITS = web.AppKey("visits", Counter)
LEFT = web.AppKey("left", asyncio.Event)  # set when a visitor left a stream before its end
GATE = web.AppKey("gate", asyncio.Event)  # scenes named `held` stop here until it is set


class Watch:
    """A clock that stands still unless told."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


def pool(at: float, members: Sequence[Member] = MEMBERS) -> Pool:
    """One healthy, one ejected, one unknown and one drained member; members of others are not known yet."""
    clock = Watch(at - 7500)
    made = Pool(Settings(tuple(members), health=HealthRules(fall=1, rise=1)), clock)
    if members is not MEMBERS:
        return made
    checks = (
        Check("JupyterHub API", True),
        Check("Docker registry", True),
        Check("Pod quota", False, ignored=True),
    )
    versions = {"binderhub": "1.0.0", "builder_info": {"runtime": "process", "isolation": "bubblewrap <on>"}}
    made.observe(
        ProbeResult(MEMBERS[0].name, at, True, True, checks=checks, seats=Seats(112, 300), versions=versions)
    )
    clock.at = at - 190
    reason = "JupyterHub API fails: <script>alert(1)</script>"
    made.observe(
        ProbeResult(MEMBERS[1].name, at, False, True, reason, checks=(Check("JupyterHub API", False),))
    )
    return made


def application(settings: Settings, members: Pool) -> web.Application:
    app = web.Application(middlewares=[middleware.plain_errors, middleware.addressed])
    app.on_response_prepare.append(middleware.add_safe_headers)
    app[RUNNING] = Running(settings)
    app[POOL] = members
    app[status.ROOM] = WaitingRoom(lambda: settings, time.monotonic)
    remember(app, settings, members)
    app[VISITS] = Counter()
    app[LEFT] = asyncio.Event()
    app[GATE] = asyncio.Event()
    app.router.add_get("/build/gh/scene/{scene}/{ref}", play)
    app.router.add_get("/build/{spec:.*}", hand_over)
    app.router.add_get(f"/{SESSION}{{path:.*}}", notebook)
    app.add_routes([*badges.routes(), *status.routes(), *pages.routes()])
    return app


def remember(app: web.Application, settings: Settings, members: Pool) -> None:
    """What the status page tells beside the members: in memory, and nobody looks by itself."""
    clock, room = SystemClock(), app[status.ROOM]
    app[api.CLOCK], app[api.LATELY] = clock, RecentLaunches(clock)
    app[incidents.INCIDENTS] = Incidents(
        members, app[api.LATELY], lambda: room, lambda: settings, clock, IncidentFile(), ignored
    )
    app[history.HISTORY] = HistoryKeeper(members, lambda: settings, clock, StateFile("history"), ignored)
    if settings.members is MEMBERS:
        with_a_past(app, clock.now())


def with_a_past(app: web.Application, now: float) -> None:
    """Ninety days, an incident that goes on and one that is over."""
    noon, today = (now // DAY - 0.5) * DAY, day_of(now)
    over = Incident(
        "2026-01-05-01", Kind.LAUNCHES_FAIL, "", noon, noon + 60, noon + 900, affected=14, failed=3
    )
    over = replace(over, cause=Cause.REGISTRY, causes=(("registry", 17),))
    for at, words in (
        (noon, "The first launch failed: no member."),
        (noon + 60, "Incident opened: 3 of the last 14 launches failed by no fault of their visitors."),
        (noon + 900, "Incident closed: launches go well again."),
    ):
        over = noted(over, at, words)
    goes_on = Incident("2026-01-06-01", Kind.MEMBER_OUT, "gesis", now - 190, now - 130, affected=2)
    goes_on = noted(replace(goes_on, cause=Cause.MEMBER), now - 190, "gesis takes no launches: <b>fails</b>.")
    app[incidents.INCIDENTS]._book = restored([over, goes_on], now - 60)
    shares = {0: 1.0, 7: 0.97, 11: 0.4, 30: 0.0}  # by day of ninety; most are whole
    days = {}
    for past in range(80):
        presence = Presence(DAY, DAY * shares.get(past, 1.0))
        drained = Presence(DAY, 0, DAY) if past in (20, 21) else Presence(DAY, DAY)
        days[today - past] = Day(
            Presence(DAY, DAY), {"hetzner-2i2c": drained, "gesis": presence, "ovh": drained}, 9100, 9000, 20
        )
    app[history.HISTORY].history = History(dict(sorted(days.items())))


def ignored(fact: Fact) -> None:
    """Nobody listens."""


async def notebook(request: web.Request) -> web.Response:
    return web.Response(text=f"<title>Notebook</title>{request.path_qs}", content_type="text/html")


async def hand_over(request: web.Request) -> web.Response:
    """Redirect mode: the launch goes to the first member."""
    first = request.app[POOL].views()[0].member
    return web.Response(status=307, headers={"Location": first.url + request.path_qs})


async def play(request: web.Request) -> web.StreamResponse:
    scene = request.match_info["scene"]
    request.app[VISITS][scene] += 1
    if scene == "refused":
        return web.Response(status=400, text="no")
    if scene == "page":
        return web.Response(text="<p>a proxy's own page", content_type="text/html")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    try:
        async for event in SCENES[scene](request):
            if event is None:
                await asyncio.sleep(0.2)  # what was written before arrives first
                assert request.transport is not None
                request.transport.abort()
                return response
            text = event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n"
            await response.write(text.encode())
    except (ConnectionError, asyncio.CancelledError):
        request.app[LEFT].set()
        raise
    return response


Scene = AsyncIterator["dict[str, Any] | str | None"]


def chosen(member: str = "hetzner-2i2c", attempt: int = 1, why: str = "") -> dict[str, Any]:
    message = why or f"{member} takes this launch: this repository's own member.\n"
    return {"phase": "waiting", "message": message, "member": member, "attempt": attempt}


def ready(request: web.Request, **changed: Any) -> dict[str, Any]:
    url = f"http://{request.host}/{SESSION}"
    return {"phase": "ready", "message": f"server running at {url}\n", "url": url, "token": "T0K", **changed}


def launching() -> list[dict[str, Any]]:
    return [
        {"phase": "built", "imageName": "registry/x:1", "message": "Found built image, launching...\n"},
        {"phase": "launching", "message": "Launching server...\n"},
        {"phase": "launching", "message": "Server requested\n"},
    ]


async def cached(request: web.Request) -> Scene:
    yield chosen()
    for event in launching():
        yield event
    yield ready(request)


async def cold(request: web.Request) -> Scene:
    """A long build with colours, carriage returns, an escape sequence cut in two, and markup."""
    yield chosen()
    yield {"phase": "waiting", "message": "Waiting for build to start...\n"}
    yield {"message": "Picked Git content provider.\n"}
    yield {"phase": "fetching", "message": "Cloning into '/build/repo'...\n"}
    for event in build_lines(6000):
        yield event
    yield {"phase": "building", "message": "\x1b[1;32mSuccessfully\x1b[0m built <b>x</b>\n"}
    await request.app[GATE].wait()
    for event in launching():
        yield event
    yield ready(request)


def build_lines(count: int) -> list[dict[str, Any]]:
    lines = [{"phase": "building", "message": f"#{i} Collecting package-{i}\n"} for i in range(count)]
    progress = [{"phase": "building", "message": f"\rDownloading {share} %"} for share in range(0, 101, 10)]
    cut = [
        {"phase": "building", "message": "\n\x1b[3"},
        {"phase": "building", "message": "1mred\x1b[0m words\r\n"},
    ]
    return [*lines, *progress, *cut]


async def held(request: web.Request) -> Scene:
    yield chosen()
    yield {"phase": "waiting", "message": "Waiting for build to start...\n"}
    for event in build_lines(40):
        yield event
    await request.app[GATE].wait()
    for _ in range(300):
        yield {"phase": "building", "message": "after the gate\n"}
        await asyncio.sleep(0.1)


async def failed(request: web.Request) -> Scene:
    yield chosen()
    yield {"phase": "fetching", "message": "Cloning into '/build/repo'...\n"}
    yield {"phase": "building", "message": "ERROR: No matching distribution found for numpyy\n"}
    yield {"phase": "failed", "message": "Error during build: pip returned 1\n"}
    yield {"phase": "failed"}


async def badref(request: web.Request) -> Scene:
    yield chosen()
    yield {
        "phase": "failed",
        "message": "Could not resolve ref for gh:scene/badref/HEAD. Double check your URL\n",
    }


async def bare(request: web.Request) -> Scene:
    yield chosen()
    yield {"phase": "building", "message": "the last words of the build\n"}
    yield {"phase": "failed"}


async def failover(request: web.Request) -> Scene:
    yield chosen()
    for event in build_lines(3):
        yield event
    yield chosen("gesis", 2, "hetzner-2i2c stopped answering; gesis continues this launch.\n")
    yield {"phase": "launching", "message": "Launching server...\n"}
    await request.app[GATE].wait()
    yield ready(request)


def place(position: int, of: int, why: str = "Every member is full.") -> dict[str, Any]:
    return {
        "phase": "waiting",
        "message": f"{why} You are number {position} in line.\n",
        "position": position,
        "of": of,
        "estimate": None,
    }


async def line(request: web.Request) -> Scene:
    """From the 60th place to the second, and after the gate to a member."""
    for position in range(60, 1, -1):
        yield place(position, 70)
    await request.app[GATE].wait()
    yield chosen()
    for event in launching():
        yield event
    yield {"phase": "failed", "message": "The end of the scene\n"}


async def line_again(request: web.Request) -> Scene:
    """Loses its member in the build, and waits for another one."""
    yield chosen()
    yield {"phase": "building", "message": "one line of a build\n"}
    yield place(2, 3, "Every other member is full.")
    await request.app[GATE].wait()
    yield {"phase": "failed", "message": "All members stayed full for 600 s.\n"}


async def broken(request: web.Request) -> Scene:
    """Breaks off twice in the middle of an event, then goes through."""
    yield chosen()
    yield {"phase": "building", "message": f"visit {request.app[VISITS]['broken']}\n"}
    if request.app[VISITS]["broken"] <= 2:
        yield 'data: {"phase": "rea'
        yield None
    for event in launching():
        yield event
    yield ready(request)


async def dead(request: web.Request) -> Scene:
    yield None


async def ends(request: web.Request) -> Scene:
    yield chosen()


async def garbage(request: web.Request) -> Scene:
    """What no member should send: comments, other fields, CRLF, no JSON, JSON that is no event."""
    yield ":keepalive\n\n"
    yield 'event: x\r\nid: 7\r\ndata: {"phase": "building",\r\ndata:  "message": "two lines\\n"}\r\n\r\n'
    yield "data: not json <b>\n\ndata: 17\n\ndata: null\n\n\n\n"
    yield {"phase": 3, "message": {"a": 1}}
    yield {"phase": "BUILT", "message": "upper case\n"}
    yield ready(request)


async def endless(request: web.Request) -> Scene:
    yield "data: "
    for _ in range(40):
        yield "x" * 65536


async def javascript(request: web.Request) -> Scene:
    yield chosen()
    yield ready(request, url="javascript:alert(document.domain)")


SCENES: dict[str, Callable[[web.Request], Scene]] = {
    scene.__name__: scene
    for scene in (
        *(
            cached,
            cold,
            held,
            failed,
            badref,
            bare,
            failover,
            line,
            line_again,
            broken,
            dead,
            ends,
            garbage,
            endless,
            javascript,
        ),
    )
}
