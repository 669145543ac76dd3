"""What visitors notice when parts of the federation are killed: as little as can be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

import aiohttp
import pytest
from local_federation import Federation, Launch, eventually, kernel, launch, shut_down, stream

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


# A repository may bring a server of its own in its `start` script: this one costs next to nothing, so that a
# hundred launches measure the federation and not a hundred starts of JupyterLab.
LIGHT_START = """#!/bin/sh
exec python server.py "$@"
"""
LIGHT_SERVER = """
import sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

given = dict(word.removeprefix("--ServerApp.").split("=", 1) for word in sys.argv if "ServerApp." in word)

class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self):
        self.do_GET()
        threading.Thread(target=server.shutdown).start()

server = ThreadingHTTPServer(("127.0.0.1", int(given["port"])), Server)
server.serve_forever()
"""


async def test_a_killed_builder_hands_its_launch_to_the_other_member(
    federation: Federation, session: aiohttp.ClientSession
) -> None:
    spec = federation.repository("handed-over", postBuild="#!/bin/sh\necho half-way; sleep 4\n")
    found = Launch()
    async with stream(session, f"{federation.url}/build/{spec}") as events:
        async for event in events:
            found.events.append(event)
            if "half-way" in event.get("message", "") and len(found.members) == 1:
                federation.kill(found.members[0])
            if event.get("phase") in ("ready", "failed"):
                break
    assert len(set(found.members)) == 2, found.members
    hub_url = federation.members[found.members[1]]["hub_url"]
    assert found.ready["url"].startswith(hub_url)
    async with kernel(session, found.ready) as cell:
        assert await cell.run("1 + 1") == "2"
    await shut_down(session, found.ready)


async def test_after_a_member_is_killed_the_next_hundred_launches_all_work_at_once(
    federation: Federation, session: aiohttp.ClientSession
) -> None:
    spec = federation.repository("light", start=LIGHT_START, **{"server__py": LIGHT_SERVER})
    first = await launch(session, federation.url, spec)  # whoever takes this one would take the next
    await shut_down(session, first.ready)
    federation.kill(first.members[0])
    places = asyncio.Semaphore(4)
    answered: list[float] = []

    async def visit() -> Launch:
        async with places:
            found = await launch(session, federation.url, spec)
            await shut_down(session, found.ready)
            # The image is known: a member is found, and it has begun to start the server, without delay.
            answered.append(found.times[found.phases.index("launching")])
            return found

    everyone = await asyncio.gather(*(visit() for _ in range(100)))
    assert [each.phases[-1] for each in everyone] == ["ready"] * 100
    # A launch that waited for a time limit would have waited for the shortest of them: 15 s, to connect.
    assert max(answered) < 10, sorted(answered)[-5:]


async def test_a_restarted_front_door_loses_no_running_notebook(
    federation: Federation, session: aiohttp.ClientSession
) -> None:
    spec = federation.example("notebook")
    found = await launch(session, federation.url, spec)
    async with kernel(session, found.ready) as cell:
        await cell.run("kept = 41; kept")
        traffic = [asyncio.create_task(launch(session, federation.url, spec)) for _ in range(3)]
        await asyncio.sleep(0.3)
        os.kill(front_door(federation), signal.SIGKILL)
        await asyncio.gather(*traffic, return_exceptions=True)
        assert await cell.run("kept + 1") == "42"
        await federation.all_active()
        assert await cell.run("kept + 2") == "43"
    again = await launch(session, federation.url, spec)
    for each in (found, again):
        await shut_down(session, each.ready)


def front_door(federation: Federation) -> int:
    return int(json.loads((federation.state / "run" / "front-door.json").read_text())["pid"])


async def test_a_killed_member_is_back_in_seconds(federation: Federation) -> None:
    before = federation.members["member-a"]["pid"]
    federation.kill("member-a")
    begun = time.monotonic()

    async def has_another_pid() -> bool:
        return federation.members["member-a"]["pid"] not in (None, before)

    await eventually(has_another_pid)
    await federation.all_active()
    assert time.monotonic() - begun < 60
