"""What the client makes of a hub that fails, hangs or answers nonsense; test_sessions.py has a good one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from contract_member import told_start
from member_fakes import until

from members.adapters.hub_client import HubClient
from members.adapters.hub_session import FULL
from members.core.model import LaunchFailed
from members.core.quota import QuotaExceeded
from tests.members.hub.conftest import IMAGE, session_request

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeHub:
    """A hub whose answers a test lays down, route by route; an answer list is used up but for its last."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: dict[str, list[Answer]] = {}
        self.app = web.Application()
        self.app.router.add_route("*", "/{path:.*}", self._answer)

    def on(self, request: str, *answers: Answer) -> None:
        self.answers[request] = list(answers)

    def count(self, method: str) -> int:
        return sum(asked[0] == method for asked in self.asked)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.raw_path, body))
        assert request.headers["Authorization"] == "token T"
        waiting = next((self.answers[key] for key in self.answers if _fits(key, request)), None)
        if waiting is None:
            return web.Response(status=404)
        return await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(request)


def _fits(key: str, request: web.Request) -> bool:
    method, _, path = key.partition(" ")
    return method == request.method and request.path.endswith(path)


def status(code: int, body: object = None) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(body, status=code)

    return answer


def stream(*events: object, hang: bool = False) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write(b"\n\ndata: " + json.dumps(event).encode() + b"\n\n")
        if hang:
            await asyncio.sleep(60)
        return response

    return answer


async def hang(request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


@pytest.fixture
async def hub() -> AsyncIterator[tuple[FakeHub, HubClient]]:
    fake = FakeHub()
    fake.on("POST /users/a b", status(201))
    fake.on("POST /servers/", status(202))
    server = TestServer(fake.app, shutdown_timeout=0.1)
    async with server, ClientSession() as http:
        client = HubClient(
            http=http,
            api_url=str(server.make_url("/hub/api/")),
            proxied_api_url=str(server.make_url("/proxied/hub/api/")),
            api_token="T",
            public_url="https://hub.example.org/at/",
            user_name=lambda repo_url: "a b",
            launch_timeout=1.0,
            request_timeout=0.3,
            retry_delay=0.01,
        )
        yield fake, client


async def progress(client: HubClient) -> list[str]:
    session = client.create(session_request())
    return [message async for message in session.progress()]


READY = {"progress": 100, "ready": True, "message": "Server ready at /user/a%20b/", "url": "/user/a%20b/"}
REQUESTED = {"progress": 0, "message": "Server requested"}


async def test_a_launch_sends_binderhubs_options_and_relays_every_message(
    hub: tuple[FakeHub, HubClient],
) -> None:
    fake, client = hub
    fake.on("GET /server/progress", stream(REQUESTED, {"progress": 50}, READY, hang=True))
    wanted = session_request()
    session = client.create(wanted)
    assert session.url == "https://hub.example.org/at/user/a%20b/"
    messages = [message async for message in session.progress()]
    assert messages == ["Server requested", "Server ready at /user/a%20b/"]
    assert [asked[:2] for asked in fake.asked] == [
        ("POST", "/hub/api/users/a%20b"),
        ("POST", "/hub/api/users/a%20b/servers/"),
        ("GET", "/hub/api/users/a%20b/server/progress"),
    ]
    assert fake.asked[1][2] == {
        "image": IMAGE,
        "repo_url": wanted.repo_url,
        "token": wanted.token,
        "binder_ref_url": wanted.ref_url,
        "binder_launch_host": wanted.launch_host,
        "binder_request": wanted.binder_request,
        "binder_persistent_request": wanted.persistent_request,
        "binder_client_ip": wanted.client_ip,
    }


async def test_a_failing_hub_is_asked_again_and_a_conflict_then_is_success(
    hub: tuple[FakeHub, HubClient],
) -> None:
    fake, client = hub
    fake.on("POST /users/a b", status(503), hang, status(409))
    fake.on("POST /servers/", status(500), status(202))
    fake.on("GET /server/progress", stream(READY))
    assert await progress(client) == ["Server ready at /user/a%20b/"]
    assert fake.count("POST") == 5


async def test_a_hub_that_keeps_failing_is_given_up(hub: tuple[FakeHub, HubClient], tmp_path: Path) -> None:
    fake, client = hub
    fake.on("POST /users/a b", status(503))
    with pytest.raises(LaunchFailed, match=f"^Failed to create temporary user for {IMAGE}$"):
        await told_start("member/hub-answers-500", tmp_path, client, IMAGE)
    assert fake.count("POST") == 4


@pytest.mark.parametrize("code", [400, 403, 409])
async def test_a_refusal_is_not_repeated(hub: tuple[FakeHub, HubClient], code: int) -> None:
    fake, client = hub
    fake.on("POST /servers/", status(code))
    with pytest.raises(LaunchFailed, match=f"^Failed to launch image {IMAGE}$"):
        await progress(client)
    assert fake.count("POST") == 2


async def test_a_full_hub_is_told_in_binderhubs_words(hub: tuple[FakeHub, HubClient]) -> None:
    fake, client = hub
    fake.on("POST /servers/", status(429, {"message": "Active user limit exceeded."}))
    with pytest.raises(QuotaExceeded, match=FULL) as refusal:
        await progress(client)
    assert refusal.value.status == "pod_quota"


async def test_the_hubs_reason_for_a_failed_start_is_passed_on(hub: tuple[FakeHub, HubClient]) -> None:
    fake, client = hub
    fake.on("GET /server/progress", stream(REQUESTED, {"failed": True, "message": "Spawn failed: no space"}))
    with pytest.raises(LaunchFailed, match=r"^Spawn failed: no space$"):
        await progress(client)
    fake.on("GET /server/progress", stream({"failed": True}))
    with pytest.raises(LaunchFailed, match=r"^unknown error$"):
        await progress(client)


@pytest.mark.parametrize("answer", [stream(REQUESTED, hang=True), hang], ids=["mute stream", "no answer"])
async def test_a_launch_ends_at_its_timeout(hub: tuple[FakeHub, HubClient], answer: Answer) -> None:
    fake, client = hub
    fake.on("GET /server/progress", answer)
    with pytest.raises(LaunchFailed, match=f"^Image {IMAGE} for user a b took too long to launch$"):
        async with asyncio.timeout(10):
            await progress(client)


async def test_a_stream_that_breaks_off_is_taken_up_again_without_repetition(
    hub: tuple[FakeHub, HubClient],
) -> None:
    fake, client = hub
    fake.on("GET /server/progress", stream(REQUESTED), status(400), stream(REQUESTED, READY))
    assert await progress(client) == ["Server requested", "Server ready at /user/a%20b/"]


async def test_streams_that_never_say_how_it_ended_are_a_failure(
    hub: tuple[FakeHub, HubClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("members.adapters.hub_session._LAST_WORD", 0.5)
    fake, client = hub
    fake.on("GET /server/progress", status(404))
    with pytest.raises(LaunchFailed, match=f"^Image {IMAGE} for user a b failed to launch$"):
        await progress(client)


async def test_garbage_in_a_stream_does_no_harm(hub: tuple[FakeHub, HubClient]) -> None:
    async def garbage(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'data: {half\n\ndata: [1]\n\ndata: {"message": 5}\n\n: comment\n\n')
        await response.write(b"data: " + b"x" * 600_000 + b"\n\n")
        return response

    fake, client = hub
    fake.on("GET /server/progress", garbage, stream(READY))
    assert await progress(client) == ["Server ready at /user/a%20b/"]


async def test_removal_waits_for_the_server_before_the_user(hub: tuple[FakeHub, HubClient]) -> None:
    fake, client = hub
    fake.on("DELETE /server", status(202), status(500), status(204))
    fake.on("DELETE /users/a b", status(204))
    session = client.create(session_request())
    await session.remove()
    assert [asked[1] for asked in fake.asked if asked[0] == "DELETE"] == [
        *["/hub/api/users/a%20b/server"] * 3,
        "/hub/api/users/a%20b",
    ]
    fake.answers.clear()  # everything is gone: 404
    await session.remove()


async def test_sessions_are_counted_by_image_over_all_pages(hub: tuple[FakeHub, HubClient]) -> None:
    fake, client = hub

    def users(image: str, count: int) -> list[object]:
        return [{"servers": {"": {"ready": False, "user_options": {"image": image}}}}] * count

    fake.on("GET /hub/api/users", status(200, users("a", 150) + users("b", 50)), status(200, users("a", 3)))
    assert await client.sessions() == {"a": 153, "b": 50}
    assert [asked[1].partition("?")[2] for asked in fake.asked] == [
        "state=active&limit=200&offset=0",
        "state=active&limit=200&offset=200",
    ]


async def test_a_launch_that_is_given_up_while_its_user_is_created_leaves_no_user(
    hub: tuple[FakeHub, HubClient],
) -> None:
    fake, client = hub
    fake.on("POST /users/a b", hang)
    session = client.create(session_request())
    launch = asyncio.create_task(anext(session.progress()))
    await until(lambda: fake.count("POST"))
    launch.cancel()
    await asyncio.gather(launch, return_exceptions=True)
    fake.on("DELETE /users/a b/server", status(404))
    fake.on("DELETE /users/a b", status(204))
    await session.remove()
    assert [asked[:2] for asked in fake.asked[1:]] == [
        ("DELETE", "/hub/api/users/a%20b/server"),
        ("DELETE", "/hub/api/users/a%20b"),
    ]


NONSENSE = [[1], [{"servers": []}], [{"servers": {"": 7}}], [{"servers": None}]]


@pytest.mark.parametrize(
    "answer",
    [status(403), status(500), status(200, "no list"), hang, *(status(200, body) for body in NONSENSE)],
)
async def test_unknown_sessions_are_an_error_and_not_zero(
    hub: tuple[FakeHub, HubClient], answer: Answer
) -> None:
    fake, client = hub
    fake.on("GET /hub/api/users", answer)
    with pytest.raises(LaunchFailed, match="JupyterHub does not"):
        await client.sessions()


async def test_health_tells_and_never_raises(hub: tuple[FakeHub, HubClient]) -> None:
    fake, client = hub
    for answer, ok in ((status(200), True), (status(500), False), (status(404), False), (hang, False)):
        fake.on("GET /hub/api/health", answer)
        check = await client.check()
        assert (check.service, check.ok) == ("JupyterHub API", ok)


@pytest.mark.parametrize("answer", [status(503), hang])
async def test_a_proxy_that_does_not_pass_visitors_on_is_told(
    hub: tuple[FakeHub, HubClient], answer: Answer
) -> None:
    fake, client = hub
    fake.on("GET /proxied/hub/api/health", answer)
    fake.on("GET /hub/api/health", status(200))
    assert not (await client.check()).ok
    fake.on("GET /proxied/hub/api/health", status(200))
    assert (await client.check()).ok


async def test_a_hub_that_is_gone_fails_a_launch_at_once_and_took_its_sessions_with_it() -> None:
    async with ClientSession() as http:
        client = HubClient(
            http=http,
            api_url="http://127.0.0.1:9/hub/api/",
            proxied_api_url="http://127.0.0.1:9/hub/api/",
            api_token="T",
            public_url="http://127.0.0.1:9/",
            user_name=lambda repo_url: "name",
            launch_timeout=60.0,
            retry_delay=30.0,
        )
        async with asyncio.timeout(5):
            with pytest.raises(LaunchFailed):
                await progress(client)
            await client.create(session_request()).remove()
            assert (await client.check()).ok is False
