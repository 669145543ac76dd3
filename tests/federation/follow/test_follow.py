"""Following a launch from the terminal, against a real server that plays every way a launch can go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from io import StringIO

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.console import Console

from federation.follow.display import Display, strip_terminal_codes
from federation.follow.launch import LaunchFailed, News, follow
from federation.follow.resume import MOST_BREAKS
from federation.follow.stream import BrokenOff, Unreachable, events
from federation.follow.wanted import Unclear, front_door_url, read

Script = Callable[[web.StreamResponse], Awaitable[None]]
READY = {"phase": "ready", "message": "server running\n", "url": "http://hub.example/user/x/", "token": "T"}


def frame(event: object) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


class Door:
    """A front door that answers every launch with one script and remembers what was asked."""

    def __init__(self) -> None:
        self.script: Script | None = None
        self.answers: list[web.Response | None] = []  # instead of the script; None plays it
        self.asked: list[web.Request] = []
        self.ended = asyncio.Event()

    async def build(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            return answer
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        assert self.script is not None
        try:
            await self.script(response)
        finally:
            self.ended.set()
        return response


@pytest.fixture
async def door() -> AsyncIterator[tuple[Door, str]]:
    door = Door()
    app = web.Application()
    app.router.add_get("/build/{rest:.*}", door.build)
    app.router.add_get("/prefix/build/{rest:.*}", door.build)
    async with TestServer(app, handler_cancellation=True) as server:
        yield door, str(server.make_url("")).rstrip("/")


def says(*parts: bytes) -> Script:
    async def script(response: web.StreamResponse) -> None:
        for part in parts:
            await response.write(part)
            await asyncio.sleep(0)

    return script


async def test_events_are_told_in_order_and_the_address_is_returned(door: tuple[Door, str]) -> None:
    server, url = door
    server.script = says(
        frame({"phase": "waiting", "message": "member-a was chosen\n", "member": "member-a", "attempt": 1}),
        b":keepalive\n\n",
        frame({"phase": "building", "message": "one\n"})[:20],
        frame({"phase": "building", "message": "one\n"})[20:] + b"\n",
        frame({"message": "no phase\n"}) + frame(["no event"]) + b"data: {half\n\n",
        frame(READY),
    )
    told: list[News] = []
    address = await follow(read("gh/user/repo/HEAD?urlpath=lab/tree/a.ipynb"), url, told.append)
    assert address == "http://hub.example/user/x/lab/tree/a.ipynb?token=T"
    assert told == [
        News("waiting", "member-a was chosen\n", "member-a"),
        News("building", "one\n"),
        News("", "no phase\n"),
        News("ready", "server running\n"),
    ]
    assert server.asked[0].headers["Accept"] == "text/event-stream"


async def test_the_spec_travels_as_it_was_written(door: tuple[Door, str]) -> None:
    server, url = door
    server.script = says(frame(READY))
    await follow(read("git/https%3A%2F%2Fx.org%2Fr/a/b?member=gesis"), f"{url}/prefix", lambda news: None)
    assert server.asked[0].raw_path == "/prefix/build/git/https%3A%2F%2Fx.org%2Fr/a/b?member=gesis"


async def test_the_stream_is_closed_once_the_server_is_ready(door: tuple[Door, str]) -> None:
    server, url = door

    async def holds(response: web.StreamResponse) -> None:
        await response.write(frame(READY))
        await asyncio.sleep(60)

    server.script = holds
    await follow(read("gh/u/r/HEAD"), url, lambda news: None)
    await asyncio.wait_for(server.ended.wait(), 10)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"phase": "failed", "message": "Could not resolve ref\n"}, "^Could not resolve ref$"),
        ({"phase": "FAILED", "message": "Too many\n", "status_code": 429}, "^Too many$"),
        ({"phase": "failed"}, "no reason"),
        ({"phase": "ready", "message": "?"}, "address was not told"),
    ],
)
async def test_a_failed_launch_says_why(door: tuple[Door, str], event: object, reason: str) -> None:
    server, url = door
    server.script = says(frame(event))
    with pytest.raises(LaunchFailed, match=reason):
        await follow(read("gh/u/r/HEAD"), url, lambda news: None)


async def test_a_link_that_leaves_the_server_gets_no_token(door: tuple[Door, str]) -> None:
    server, url = door
    server.script = says(frame(READY))
    with pytest.raises(LaunchFailed, match="outside its server"):
        await follow(read("gh/u/r/HEAD?urlpath=https://elsewhere.example/"), url, lambda news: None)


async def test_a_stream_that_ends_too_early_is_broken_off(door: tuple[Door, str]) -> None:
    server, url = door
    server.script = says(frame({"phase": "building", "message": "one\n"}))
    with pytest.raises(BrokenOff, match="ended before the launch did"):
        await follow(read("gh/u/r/HEAD"), url, lambda news: None, delays=())


async def test_a_connection_cut_in_the_middle_is_broken_off(door: tuple[Door, str]) -> None:
    server, url = door

    async def cut(response: web.StreamResponse) -> None:
        await response.write(frame({"phase": "building", "message": "one\n"}) + b"data: {")
        transport = server.asked[0].transport
        assert transport is not None
        transport.abort()

    server.script = cut
    with pytest.raises(BrokenOff, match="broke off"):
        await follow(read("gh/u/r/HEAD"), url, lambda news: None, delays=())


async def test_silence_is_broken_off(door: tuple[Door, str], monkeypatch: pytest.MonkeyPatch) -> None:
    server, url = door
    monkeypatch.setattr("federation.follow.stream._SILENCE", 0.3)

    async def silent(response: web.StreamResponse) -> None:
        await response.write(b":hello\n\n")
        await asyncio.sleep(60)

    server.script = silent
    with pytest.raises(BrokenOff, match="nothing was heard"):
        await follow(read("gh/u/r/HEAD"), url, lambda news: None, delays=())


async def test_an_endless_line_is_broken_off(door: tuple[Door, str]) -> None:
    server, url = door
    server.script = says(*([b"data: " + b"x" * 300_000] * 5))
    with pytest.raises(BrokenOff, match="sent an event of more than"):
        await follow(read("gh/u/r/HEAD"), url, lambda news: None, delays=())


ID = "L" * 22
QUICK = (0.01, 0.01)


def named(number: int, event: object, launch: str = ID) -> bytes:
    return f"id: {launch}.{number}\n".encode() + frame(event)


def line(text: str) -> dict[str, str]:
    return {"phase": "building", "message": text}


async def told_by(server: Door, url: str, *scripts: Script) -> tuple[list[str], list[str]]:
    """What a person reads when each connection plays the next script, and the ids that were asked after."""
    left = list(scripts)

    async def next_one(response: web.StreamResponse) -> None:
        await left.pop(0)(response)

    server.script = next_one
    told: list[News] = []
    await follow(read("gh/u/r/HEAD"), url, told.append, delays=QUICK)
    assert not left
    return [news.text.strip() for news in told], [
        asked.headers.get("Last-Event-ID", "") for asked in server.asked
    ]


async def test_a_launch_goes_on_where_the_connection_broke(door: tuple[Door, str]) -> None:
    server, url = door
    texts, after = await told_by(
        server,
        url,
        says(named(1, line("one")), named(2, line("two"))),
        says(),
        says(named(3, line("three")), named(4, READY)),
    )
    assert [text for text in texts if "connecting again" not in text] == [
        "one",
        "two",
        "three",
        "server running",
    ]
    assert after == ["", f"{ID}.2", f"{ID}.2"]
    assert sum("the stream ended before the launch did; connecting again" in text for text in texts) == 2


async def test_a_stream_without_ids_begins_anew(door: tuple[Door, str]) -> None:
    """Nor can one be gone on with whose ids are not of our kind, or stopped coming."""
    server, url = door
    anew = says(b"id: 7\n" + frame(line("one")))
    stopped = says(named(1, line("one")), b"id\n" + frame(line("two")))
    _, after = await told_by(server, url, anew, stopped, says(frame(READY)))
    assert after == ["", "", ""]


async def test_a_launch_that_is_over_elsewhere_is_asked_for_anew(door: tuple[Door, str]) -> None:
    server, url = door
    over = web.Response(status=204)
    server.answers = [None, over, None]
    _, after = await told_by(server, url, says(named(1, line("one"))), says(frame(READY)))
    assert after == ["", f"{ID}.1", ""]


async def test_a_launch_is_gone_on_with_at_the_address_that_told_it(door: tuple[Door, str]) -> None:
    """As in redirect mode; the address stays as it is written."""
    server, url = door
    spec = "git/https%3A%2F%2Fx.org%2Fr/a"
    server.answers = [web.Response(status=307, headers={"Location": f"/prefix/build/{spec}"})]
    left = [says(named(1, line("one"))), says(named(2, READY))]

    async def next_one(response: web.StreamResponse) -> None:
        await left.pop(0)(response)

    server.script = next_one
    await follow(read(spec), url, lambda news: None, delays=QUICK)
    assert [asked.raw_path for asked in server.asked] == [f"/build/{spec}", *[f"/prefix/build/{spec}"] * 2]


async def test_connections_that_all_break_end_the_launch(door: tuple[Door, str]) -> None:
    server, url = door
    server.script = says(named(1, line("one")))
    with pytest.raises(BrokenOff, match="ended before the launch did"):
        await follow(read("gh/u/r/HEAD"), url, lambda news: None, delays=QUICK)
    assert len(server.asked) == 1 + len(QUICK)


async def test_a_launch_that_breaks_for_ever_ends(
    door: tuple[Door, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when each connection held for long."""
    monkeypatch.setattr("federation.follow.resume.STEADY", -1.0)
    server, url = door
    server.script = says(named(1, line("one")))
    with pytest.raises(BrokenOff):
        await follow(read("gh/u/r/HEAD"), url, lambda news: None, delays=QUICK)
    assert len(server.asked) == 1 + MOST_BREAKS


async def test_what_is_no_front_door_is_called_so(door: tuple[Door, str]) -> None:
    with pytest.raises(Unreachable, match=r"answered 404 .* is this the address of a front door"):
        async for _ in events(f"{door[1]}/elsewhere"):
            pass


async def test_a_closed_port_is_unreachable(unused_tcp_port: int) -> None:
    with pytest.raises(Unreachable, match=f"127.0.0.1:{unused_tcp_port}"):
        await follow(read("gh/u/r/HEAD"), f"http://127.0.0.1:{unused_tcp_port}", lambda news: None)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("gh/user/repo/HEAD", "http://d/build/gh/user/repo/HEAD"),
        ("/v2/gh/user/repo/HEAD/", "http://d/build/gh/user/repo/HEAD"),
        ("zenodo/10.5281/zenodo.1/", "http://d/build/zenodo/10.5281/zenodo.1"),
        ("git/https%3A%2F%2Fx.org%2Fr/feature/x", "http://d/build/git/https%3A%2F%2Fx.org%2Fr/feature/x"),
        ("gh/user/repo/with space", "http://d/build/gh/user/repo/with%20space"),
        ("https://mybinder.example/v2/gh/u/r/HEAD?labpath=a.ipynb", "http://d/build/gh/u/r/HEAD"),
    ],
)
def test_what_can_be_launched(text: str, url: str) -> None:
    assert read(text).build_url("http://d/") == url


def test_a_launch_link_brings_its_own_front_door_and_path() -> None:
    wanted = read("https://hub.example/services/binder/v2/gh/u/r/HEAD?filepath=a%20b.ipynb")
    assert wanted.front_door == "https://hub.example/services/binder"
    assert wanted.filepath == "a b.ipynb"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected PROVIDER/SPEC"),
        ("gh", "expected PROVIDER/SPEC"),
        ("svn/user/repo", "no provider 'svn', expected one of gh, gist, git"),
        ("git/https://x.org/u/r/HEAD", r"percent-encoded, as in git/https%3A%2F%2Fx.org%2Fu%2Fr/HEAD"),
        ("https://github.com/user/repo", "no launch link"),
        ("ftp://host/v2/gh/u/r/HEAD", "no launch link"),
        ("http://[::1/v2/gh/u/r/HEAD", "no launch"),
    ],
)
def test_what_cannot_be_launched_is_explained(text: str, complaint: str) -> None:
    with pytest.raises(Unclear, match=complaint):
        read(text)


@pytest.mark.parametrize("text", ["", "localhost:8080", "ftp://x", "http://", "http://x:0", "http://x/?a=b"])
def test_what_is_no_front_doors_address(text: str) -> None:
    with pytest.raises(Unclear, match="expected a URL such as"):
        front_door_url(text)


def test_lines_are_shown_once_with_their_phase_and_without_terminal_tricks() -> None:
    out = StringIO()
    display = Display(Console(file=out, width=20))
    with display.live():
        display.tell(News("waiting", "chosen\n", "member-a"))
        display.tell(
            News("building", "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2Jend " + "long " * 10 + "\n\n")
        )
        display.tell(News("", "[bold]not markup[/bold]"))
    lines = out.getvalue().splitlines()
    assert lines[0] == "  waiting chosen"
    assert lines[1].startswith(" building red") and lines[1].rstrip().endswith("end " + "long " * 9 + "long")
    assert lines[2] == "          [bold]not markup[/bold]"
    assert "\x1b" not in out.getvalue() and "\x07" not in out.getvalue()


@pytest.mark.parametrize("evil", ["\x1b]52;c;AAAA\x07", "\x9b2J", "a\rb", "\x1bc", "\x08\x08"])
def test_no_sequence_that_steers_a_terminal_gets_through(evil: str) -> None:
    plain = strip_terminal_codes(f"before{evil}after").plain
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in plain)
