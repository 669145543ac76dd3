"""The relay against real members: events pass, faults move the launch on, ends are final."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace

import pytest
from aiohttp import web
from door_stage import (
    FAST,
    READY,
    SOON,
    SPEC,
    SUCCESS,
    Door,
    StockMember,
    event,
    plays,
    raw_member,
    raw_stream,
    until,
    without_ids,
)

from federation.core.model import Member, State
from federation.core.rules import WaitingRules
from federation.service.ports import ProbeResult

Pair = tuple[StockMember, StockMember]

LEAVES = event(phase="failed", message="This member is shutting down\n")
QUOTA = event(phase="failed", message="Too many users on this BinderHub! Try again soon.\n")
BUILT = event(phase="built", imageName="i", message="Found built image, launching...\n")


async def first(door: Door) -> str:
    """The member that the spec belongs to."""
    return str(
        (await door.json("/federation/v1/explain?spec=gh/binder-examples/requirements/HEAD"))["candidates"][
            0
        ]["name"]
    )


async def test_a_launch_passes_through_byte_for_byte(members: Pair) -> None:
    odd = b'data: {"phase":   "building", "message": "\\u00e4 \\ud83d"  }\n\n'
    for member in members:
        member.play = plays(odd, BUILT, event(**READY))
    async with Door(*(member.configured() for member in members)) as door:
        launched = await door.launch()
        assert launched.status == 200
        assert launched.headers["Content-Type"] == "text/event-stream"
        assert launched.headers["Access-Control-Allow-Origin"] == "*"
        assert launched.events[0]["phase"] == "waiting" and launched.events[0]["attempt"] == 1
        assert launched.takers == [await first(door)]
        assert without_ids(launched.body).endswith(odd + BUILT + event(**READY))
        assert launched.last == READY


async def test_the_member_sees_path_query_and_visitor_as_they_are(members: Pair) -> None:
    async with Door(members[0].configured(), public_url="https://binder.example.org") as door:
        path = "/build/git/https%3A%2F%2Fexample.org%2Fa.git/feature/x%20y"
        await door.launch(
            f"{path}?a=%2F&member=alpha&b",
            **{"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Cookie": "a=b"},
        )
    seen = members[0].requests[0]
    assert seen.raw_path == f"{path}?a=%2F&b"
    assert seen.headers["Accept"] == "text/event-stream"
    assert seen.headers["X-Forwarded-For"] == seen.headers["X-Real-IP"] == "127.0.0.1"
    assert seen.headers["X-Forwarded-Proto"] == "https"
    assert seen.headers["X-Forwarded-Host"] == "binder.example.org"
    assert seen.headers["Origin"] == "https://binder.example.org"
    assert "Cookie" not in seen.headers


async def test_a_trusted_proxy_tells_who_the_visitor_is_and_others_do_not(members: Pair) -> None:
    for trusted, expected in (
        ((), "127.0.0.1"),
        (("10.0.0.0/8",), "127.0.0.1"),
        (("127.0.0.0/8",), "203.0.113.9"),
    ):
        async with Door(members[0].configured(), trusted_proxies=trusted) as door:
            await door.launch(**{"X-Forwarded-For": "203.0.113.9"})
        assert members[0].requests[-1].headers["X-Forwarded-For"] == expected


@pytest.mark.parametrize(
    ("forwarded", "ip"),
    [
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6", "203.0.113.9"], "203.0.113.9"),  # two lines, as HAProxy adds its own
        (["not an address, 203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9:4711, 127.0.0.2"], "203.0.113.9"),
        (["[2001:db8::9]:4711"], "2001:db8::9"),
        (["unknown"], "127.0.0.1"),
        (["6.6.6.6, unknown, 127.0.0.2"], "127.0.0.2"),
    ],
)
async def test_what_a_visitor_adds_before_a_trusted_proxy_is_not_believed(
    forwarded: list[str], ip: str, members: Pair
) -> None:
    async with Door(members[0].configured(), trusted_proxies=("127.0.0.0/8",)) as door:
        headers = [("Accept", "text/event-stream"), *(("X-Forwarded-For", line) for line in forwarded)]
        async with door.ask(SPEC, headers=[*headers, ("X-Forwarded-Proto", "javascript")]) as answer:
            assert answer.status == 200 and b'"ready"' in await answer.read()
    seen = members[0].requests[0].headers
    assert seen["X-Forwarded-For"] == ip and seen["X-Forwarded-Proto"] == "http"


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FAULTS = {
    "refused": None,
    "500": b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    "404": b"HTTP/1.1 404 Oh\r\nContent-Length: 0\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Oh\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "html": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello",
    "no HTTP": b"\x00\xff nonsense\r\n\r\n",
    "nothing": b"",
    "empty stream": raw_stream(b""),
    "early end": raw_stream(event(phase="waiting", message="x")),
    "half an event": raw_stream(event(phase="building") + b'data: {"phase": "rea'),
    "cut chunk": CHUNKED + b"50\r\ndata: ",
    "no JSON": raw_stream(b"data: hello\n\n"),
    "no object": raw_stream(b"data: [1, 2]\n\n"),
    "endless line": raw_stream(b"data: " + b"x" * 3_000_000),
    "quota": raw_stream(QUOTA),
    "launch failed": raw_stream(
        BUILT + event(phase="failed", message="Failed to launch image i\n", status_code=500)
    ),
    "ready at no address": raw_stream(BUILT + event(phase="ready", url="javascript:alert(1)//", token="t")),
    "ready without URL": raw_stream(BUILT + event(phase="ready")),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_member_moves_the_launch_to_the_next(fault: str, members: Pair) -> None:
    answer = FAULTS[fault]
    async with AsyncExitStack() as stack:
        if answer is None:
            bad = Member("bad", "http://127.0.0.1:1", 1.0)
        else:
            bad = await stack.enter_async_context(raw_member("bad", answer))
        # Weights so unequal that the bad member comes first, whatever the hash says.
        door = await stack.enter_async_context(
            Door(replace(bad, weight=1e9), members[0].configured(1e-9), wait=fault != "refused")
        )
        launched = await door.launch()
        assert launched.last == READY
        assert launched.takers[-1] == "alpha"
        if fault != "refused" or len(launched.takers) > 1:
            assert launched.takers == ["bad", "alpha"]
            handed = [told for told in launched.events if told.get("attempt") == 2]
            assert (
                handed[0]["phase"] == "waiting" and "bad could not finish this launch" in handed[0]["message"]
            )
        assert "failed" not in launched.phases
        assert all(view.leases == 0 for view in door.door.pool.views())


async def test_a_silent_member_is_given_up_in_time(members: Pair) -> None:
    rules = replace(FAST, stuck_after=1.0)
    for answer in (b"", raw_stream(event(phase="building"))):
        async with (
            raw_member("mute", answer, hold=True) as mute,
            Door(replace(mute, weight=1e9), members[0].configured(1e-9), launch=rules) as door,
        ):
            launched = await door.launch()
            assert launched.takers == ["mute", "alpha"] and launched.last == READY
            # Given up, or overtaken in that very moment: both take a second.
            assert re.search(r"(silent|not answered|not moved) for 1 s", json.dumps(launched.events))


async def test_a_connection_that_is_not_accepted_is_given_up_in_time(members: Pair) -> None:
    # A listener whose queue is full drops further attempts to connect, as a dead host does.
    with socket.socket() as deaf, ExitStack() as waiting:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(deaf.getsockname())
        far = Member("far", f"http://127.0.0.1:{deaf.getsockname()[1]}", 1e9)
        rules, looks = replace(FAST, connect_timeout=1.0), replace(SOON, fall=100)
        async with Door(members[0].configured(1e-9), launch=rules, health=looks) as door:
            # Found well once, so that the launch goes there.
            door.reconfigure([far, members[0].configured(1e-9)])
            door.door.pool.observe(ProbeResult("far", 0.0, True, True))
            launched = await door.launch()
        assert launched.takers == ["far", "alpha"] and launched.last == READY
        assert "did not accept a connection within 1 s" in json.dumps(launched.events)


async def test_a_launch_that_talks_for_ever_is_given_up_in_time(members: Pair) -> None:
    async def chatter(request: web.Request, response: web.StreamResponse) -> None:
        while True:
            await response.write(event(phase="building", message="still"))
            await asyncio.sleep(0.02)

    members[0].play = chatter
    rules = replace(FAST, timeout=1.5)
    async with Door(members[0].configured(1e9), members[1].configured(1e-9), launch=rules) as door:
        launched = await door.launch()
        assert launched.takers == ["alpha", "beta"] and launched.last == READY
        assert "took longer than 1.5 s" in json.dumps(launched.events)
        await until(lambda: members[0].open == 0)


async def test_attempts_are_limited_and_each_member_is_tried_once() -> None:
    async with AsyncExitStack() as stack:
        stock = [await stack.enter_async_context(StockMember(name, plays(LEAVES))) for name in "abcde"]
        door = await stack.enter_async_context(Door(*(member.configured() for member in stock)))
        launched = await door.launch()
        assert len(launched.takers) == len(set(launched.takers)) == 3
        assert launched.last["phase"] == "failed" and launched.phases == ["failed"]
        assert launched.last["message"].count("This member is shutting down") == 3
        assert sum(len(member.requests) for member in stock) == 3


async def test_nobody_left_is_a_clear_end(members: Pair) -> None:
    gone = Member("gone", "http://127.0.0.1:1", 1.0)
    async with Door(gone, waiting=WaitingRules(places=0)) as door:
        launched = await door.launch()
        assert launched.status == 200 and launched.phases == ["failed"]
        assert "gone: ejected: refused the connection" in launched.last["message"]


async def test_a_visitor_who_leaves_and_stays_away_ends_the_launch(
    members: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.app.launching.AWAY", 0.5)
    members[0].play = plays(event(phase="building"), hold=True)
    async with Door(members[0].configured()) as door:
        async with door.ask(SPEC, headers={"Accept": "text/event-stream"}) as answer:
            await answer.content.readuntil(b'"building"}')
            assert members[0].open == 1 and door.door.pool.views()[0].leases == 1
            answer.close()
        await until(lambda: members[0].open == 0, 3)
        await until(lambda: door.door.pool.views()[0].leases == 0, 3)
        assert 'federation_launches_total{cause="abandoned",member="alpha",outcome="abandoned"} 1.0' in (
            await door.text("/metrics")
        )


async def test_a_visitor_who_reads_nothing_holds_no_seat_for_long(
    members: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.web.launch.STALLED", 0.5)
    monkeypatch.setattr("federation.app.launching.AWAY", 0.5)

    async def flood(request: web.Request, response: web.StreamResponse) -> None:
        while True:
            await response.write(event(phase="building", message="x" * 50_000))

    for member in members:
        member.play = flood
    async with Door(*(member.configured() for member in members)) as door:
        with socket.create_connection(("127.0.0.1", door.url.port)) as visitor:
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            visitor.send(f"GET {SPEC} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode())
            await until(lambda: sum(member.open for member in members) == 1)
            await until(lambda: sum(member.open for member in members) == 0, 8)
            await until(lambda: sum(view.leases for view in door.door.pool.views()) == 0, 3)
        ended = re.findall(r"federation_launches_total{(.*)} 1.0", await door.text("/metrics"))
        assert len(ended) == 1 and 'cause="abandoned"' in ended[0] and 'outcome="abandoned"' in ended[0]


async def test_a_visitor_who_leaves_before_the_member_answers_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("federation.app.launching.AWAY", 0.5)
    async with raw_member("mute", b"", hold=True) as mute, Door(mute) as door:
        async with door.ask(SPEC, headers={"Accept": "text/event-stream"}) as answer:
            await answer.content.readuntil(b"attempt")
            answer.close()
        await until(lambda: door.door.pool.views()[0].leases == 0, 3)


async def test_ready_closes_the_members_stream_though_the_member_holds_it(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        assert (await door.launch()).last == READY
        await until(lambda: members[0].open == 0, 3)


async def test_an_ejected_member_finishes_the_launch_it_has(members: Pair) -> None:
    go_on = asyncio.Event()

    async def slow(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event(phase="building"))
        await go_on.wait()
        await response.write(event(**READY))

    members[0].play = slow
    async with Door(members[0].configured(1e9), members[1].configured(1e-9)) as door:
        launch = asyncio.create_task(door.launch())
        await until(lambda: members[0].open == 1)
        members[0].status, members[0].told = 500, {}
        await until(lambda: door.state("alpha") is State.EJECTED)
        go_on.set()
        launched = await launch
        assert launched.takers == ["alpha"] and launched.last == READY


async def test_a_member_killed_in_mid_launch_hands_over_and_the_next_hundred_succeed(members: Pair) -> None:
    for member in members:
        member.play = plays(event(phase="building"), hold=True)
    async with Door(*(member.configured() for member in members)) as door:
        chosen = await first(door)
        victim, heir = sorted(members, key=lambda member: member.name != chosen)
        heir.play = SUCCESS
        launch = asyncio.create_task(door.launch())
        await until(lambda: victim.open == 1)
        await victim.die()
        launched = await launch
        assert launched.takers == [victim.name, heir.name] and launched.last == READY
        begun = asyncio.get_running_loop().time()
        for number in range(100):
            launched = await door.launch(f"/build/gh/user/repo-{number}/HEAD")
            assert launched.last == READY
        assert asyncio.get_running_loop().time() - begun < 10  # none waited for a timeout
        assert all(view.leases == 0 for view in door.door.pool.views())


async def test_a_refused_launch_is_a_bad_look() -> None:
    async with StockMember("alpha") as alpha, StockMember("beta") as beta:
        rules_that_never_look = replace(Door().settings.health, interval=3600)
        async with Door(alpha.configured(1e9), beta.configured(1e-9), health=rules_that_never_look) as door:
            await alpha.die()
            assert (await door.launch()).takers == ["alpha", "beta"]
            await until(lambda: door.state("alpha") is State.EJECTED, 5)
            assert (await door.launch()).takers == ["beta"]


async def test_silence_is_filled_with_comments(members: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.web.launch.KEEPALIVE_EVERY", 0.05)

    async def slow(request: web.Request, response: web.StreamResponse) -> None:
        await asyncio.sleep(0.5)
        await response.write(event(**READY))

    members[0].play = slow
    async with Door(members[0].configured()) as door:
        body = (await door.launch()).body
    assert body.count(b":keepalive\n\n") >= 3
    assert body.endswith(event(**READY))


async def test_a_stopping_front_door_ends_streams_quickly_and_cleanly(members: Pair) -> None:
    members[0].play = plays(event(phase="building"), hold=True)
    async with Door(members[0].configured()) as door:
        launch = asyncio.create_task(door.launch())
        await until(lambda: members[0].open == 1)
        begun = asyncio.get_running_loop().time()
        await door.runner.cleanup()
        launched = await launch  # no error: the stream ended as streams end
        assert asyncio.get_running_loop().time() - begun < 3
        assert "failed" not in launched.phases
        await until(lambda: members[0].open == 0, 3)


async def test_nothing_is_left_when_a_front_door_has_stopped(members: Pair) -> None:
    before = asyncio.all_tasks()
    async with Door(*(member.configured() for member in members)) as door:
        await door.launch()
    await until(
        lambda: (
            not [
                task
                for task in asyncio.all_tasks() - before
                if "monitor" in task.get_name() or "keepalive" in task.get_name()
            ]
        )
    )


async def test_a_preferred_member_takes_the_launch_while_it_is_fit(members: Pair) -> None:
    async with Door(*(member.configured() for member in members)) as door:
        for name in ("alpha", "beta"):
            assert (await door.launch(f"{SPEC}?member={name}")).takers == [name]
        assert (await door.launch(f"{SPEC}?member=nobody")).takers == [await first(door)]
    assert not any("member" in request.query for member in members for request in member.requests)


async def test_a_crowd_waits_for_one_build_though_it_takes_all_the_builders_seats(members: Pair) -> None:
    built = asyncio.Event()

    async def build(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event(phase="waiting", message="Waiting for build to start...\n"))
        await built.wait()
        await response.write(BUILT + event(**READY))

    room = {"service": "Pod quota", "ok": True, "total_pods": 0, "quota": 2, "_ignore_failure": True}
    for member in members:
        member.play, member.told = build, {"ok": True, "checks": [room]}
    async with Door(*(member.configured() for member in members)) as door:
        crowd = [asyncio.create_task(door.launch()) for _ in range(6)]
        await until(lambda: sum(member.open for member in members) == 6)
        assert sorted(len(member.requests) for member in members) == [0, 6]
        built.set()
        for each in await asyncio.gather(*crowd):
            assert each.last == READY


async def test_a_crowd_whose_builder_dies_waits_for_one_other_build() -> None:
    """Launches under way fill the heir at once, while most of the crowd still counts for the one that died."""
    built = asyncio.Event()

    async def build(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event(phase="building", message="one\n"))
        await built.wait()
        for piece in (BUILT, event(**READY)):
            await response.write(piece)

    async with AsyncExitStack() as stack:
        members = [await stack.enter_async_context(StockMember(name, build)) for name in ("a", "b", "c", "d")]
        for member in members:
            detail = {"service": "Pod quota", "ok": True, "total_pods": 0, "quota": 5}
            member.told = {"ok": True, "checks": [detail]}
        door = await stack.enter_async_context(
            Door(
                *(member.configured() for member in members),
                launch=replace(FAST, attempts=3, retry_budget=1.0),
            )
        )
        crowd = [asyncio.create_task(door.launch()) for _ in range(40)]
        await until(lambda: sum(member.open for member in members) == 40)
        builder = next(member for member in members if member.open)
        assert builder.open == 40
        await builder.die()
        others = [member for member in members if member is not builder]
        await until(lambda: sum(member.open for member in others) == 40)
        assert sorted(member.open for member in others) == [0, 0, 40]
        built.set()
        for launch in crowd:
            assert (await launch).last == READY
