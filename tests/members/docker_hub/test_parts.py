"""The small parts that need no engine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from members.adapters import hub_parameters
from members.adapters.hub_parameters import Accounts, DockerSessions, HubParameters, ProcessSessions, Sessions
from members.core.labels import labels
from members.core.model import Isolation
from members.core.pullprogress import PullProgress
from members.hub.engine_watch import EngineWatch
from members.hub.turns import Turns


def downloading(layer: str, current: int, total: int) -> dict[str, object]:
    return {"id": layer, "status": "Downloading", "progressDetail": {"current": current, "total": total}}


def test_progress_is_summed_over_layers() -> None:
    progress = PullProgress()
    progress.note({"status": "Pulling from x", "id": "1"})
    progress.note({"id": "a", "status": "Already exists", "progressDetail": {}})
    assert progress.line is None
    progress.note(downloading("b", 10_000_000, 60_000_000))
    progress.note(downloading("c", 20_000_000, 40_000_000))
    assert progress.line == "Pulling the image: 30 of 100 MB\n"
    progress.note({"id": "c", "status": "Download complete", "progressDetail": {}})
    assert progress.line == "Pulling the image: 50 of 100 MB\n"
    progress.note({"id": "b", "status": "Extracting", "progressDetail": {"current": 5, "total": 60_000_000}})
    assert progress.line == "Pulling the image: 100 MB came, unpacking\n"


@pytest.mark.parametrize(
    "odd", [{}, {"id": 3}, {"id": "a", "status": "Downloading"}, downloading("a", 1, -1)]
)
def test_odd_events_are_no_progress(odd: dict[str, object]) -> None:
    progress = PullProgress()
    progress.note(odd)
    assert progress.line is None


def test_labels_are_of_a_folder_and_a_run() -> None:
    first, second = labels("a", "/var/one", "1"), labels("b", "/var/one", "2")
    assert first.of_state == second.of_state
    assert first.of_run != second.of_run
    assert labels("a", "/var/two", "1").network != first.network
    assert first.all == {"binder.member": "a", "binder.state": first.state, "binder.run": "1"}
    assert len(first.state) == 12


async def test_turns_are_taken_in_order_and_end_with_the_block() -> None:
    turns, order = Turns(2, limit=60.0), list[int]()
    free = asyncio.Event()

    async def start(number: int) -> None:
        async with turns.turn():
            order.append(number)
            await free.wait()

    tasks = [asyncio.create_task(start(number)) for number in range(5)]
    await asyncio.sleep(0.01)
    assert order == [0, 1]
    tasks[2].cancel()  # one that waits and gives up holds nobody up
    tasks[0].cancel()
    await asyncio.sleep(0.01)
    assert order == [0, 1, 3]
    free.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 1, 3, 4]


async def test_a_start_that_hangs_does_not_hold_others_up() -> None:
    turns = Turns(1, limit=0.05)
    async with turns.turn(), asyncio.timeout(5), turns.turn():
        pass


@pytest.mark.parametrize(
    "sessions",
    [
        ProcessSessions(isolation=Isolation.BUBBLEWRAP, memory=None),
        DockerSessions(docker_host="unix:///x", network="n", labels={"a": "b"}, memory=1, cpu=None, pids=16),
    ],
    ids=lambda sessions: type(sessions).__name__,
)
@pytest.mark.parametrize(
    ("host", "own"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.0.0.1", "10.0.0.1")]
)
def test_parameters_come_over_as_they_were(tmp_path: Path, sessions: Sessions, host: str, own: str) -> None:
    written = HubParameters(
        state_dir=tmp_path,
        host=host,
        port=8000,
        base_url="/",
        hub_port=1,
        proxy_port=2,
        proxy_command=("chp",),
        api_token="a",
        proxy_token="b",
        cookie_secret="c",
        sessions=sessions,
        max_sessions=None,
        idle_timeout=1.0,
        max_age=2.0,
        launch_timeout=3.0,
        allow_origin="*",
        front_door=None,
        log_level="info",
        accounts=Accounts("dummy", {"DummyAuthenticator": {"password": "p"}}, "http://m/oauth_callback", 2),
    )
    hub_parameters.write(written, tmp_path / "file")
    assert hub_parameters.read(tmp_path / "file") == written
    assert written.own_url == f"http://{own}:8000/"


class AnEngine:
    """Tells of ends, and removes what it is told to when it can."""

    def __init__(self) -> None:
        self.streams = 0
        self.stuck = True
        self.removed: list[str] = []
        self.says: asyncio.Queue[str] = asyncio.Queue()

    async def events(self, request: web.Request) -> web.StreamResponse:
        assert json.loads(request.query["filters"])["label"] == ["binder.run=1"]
        self.streams += 1
        stream = web.StreamResponse()
        await stream.prepare(request)
        while name := await self.says.get():
            await stream.write(json.dumps({"Actor": {"Attributes": {"name": name}}}).encode() + b"\n")
        return stream

    async def remove(self, request: web.Request) -> web.Response:
        if self.stuck:
            return web.Response(status=500)
        self.removed.append(request.match_info["name"])
        return web.Response(status=204)


async def test_an_engines_word_of_ends_is_followed_and_what_stayed_is_removed_when_it_is_back(
    tmp_path: Path,
) -> None:
    engine = AnEngine()
    app = web.Application()
    app.add_routes([web.get("/events", engine.events), web.delete("/containers/{name}", engine.remove)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    watch, ended = EngineWatch(str(tmp_path / "engine.sock"), "binder.run=1"), asyncio.Queue[str]()

    async def look(name: str) -> None:
        await ended.put(name)

    watch.left_behind("early")
    watch.follow("a", lambda: look("a"))
    watch.follow("b", lambda: look("b"))
    await watch.clear("early")  # nobody is there yet
    await web.UnixSite(runner, str(tmp_path / "engine.sock")).start()
    async with asyncio.timeout(20):
        assert {await ended.get(), await ended.get()} == {"a", "b"}  # who knows what happened meanwhile
        watch.forget("a")
        for name in ("stranger", "a", "b"):
            await engine.says.put(name)
        assert await ended.get() == "b"
        watch.left_behind("left")
        watch.left_behind("again")
        await watch.clear("again")
        assert engine.removed == []  # it could not
        engine.stuck = False
        await watch.clear("again")
        assert engine.removed == ["again"]
        await engine.says.put("")  # the stream ends
        assert await ended.get() == "b"
        assert sorted(engine.removed) == ["again", "early", "left"]
    await watch.close()
    await runner.cleanup()
    assert ended.empty()
