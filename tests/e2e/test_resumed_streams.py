"""A launch that is left and joined again, through the front door and on a member itself, with real servers."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import pytest
from local_federation import Federation, builds, shut_down
from playwright.async_api import async_playwright, expect
from yarl import URL

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SLOW = "#!/bin/sh\nfor i in 1 2 3 4 5 6; do echo step $i; sleep 0.7; done\n"
LAUNCH_LIMIT = 120_000.0  # milliseconds, as everywhere in Playwright


async def sessions(session: aiohttp.ClientSession, member: dict[str, str]) -> int:
    """How many sessions the member counts."""
    async with session.get(f"{member['url']}/health") as response:
        checks = (await response.json())["checks"]
    return sum(check.get("user_pods", 0) for check in checks if check["service"] == "Pod quota")


async def read(
    session: aiohttp.ClientSession, url: str, last: str, until: bytes, body: bytes = b""
) -> tuple[bytes, str]:
    """Reads on after the event `last` up to one that holds `until`; the bytes so far, and the last id."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    async with session.get(URL(url, encoded=True), headers=headers) as response:
        while until not in (frame := await asyncio.wait_for(response.content.readuntil(b"\n\n"), 90)):
            body += frame
        body += frame
        if response.connection is not None and response.connection.transport is not None:
            response.connection.transport.abort()
    return body, re.findall(rb"(?m)^id: (.*)$", body)[-1].decode()


@pytest.mark.parametrize("way", ["front door", "member"])
async def test_a_connection_lost_three_times_costs_nothing(
    way: str, federation: Federation, session: aiohttp.ClientSession
) -> None:
    name = f"lost-{way.replace(' ', '-')}"
    spec = federation.repository(name, postBuild=SLOW)
    member = federation.members["member-a"]
    before = await sessions(session, member)
    url = f"{member['url'] if way == 'member' else federation.url}/build/{spec}"
    url += "" if way == "member" else "?member=member-a"
    body, last = await read(session, url, "", b"step 2")
    body, last = await read(session, url, last, b"step 4", body)
    await asyncio.sleep(1.5)
    body, last = await read(session, url, last, b"Server requested", body)
    body, last = await read(session, url, last, b'"ready"', body)
    events = [json.loads(data) for data in re.findall(rb"(?m)^data: (.*)$", body)]
    ids = re.findall(rb"(?m)^id: (.*)\.(\d+)$", body)
    assert [int(number) for _, number in ids] == list(range(1, len(events) + 1))
    assert len({launch for launch, _ in ids}) == 1
    assert re.findall(r"step \d", "".join(event.get("message", "") for event in events)) == [
        f"step {number}" for number in range(1, 7)
    ]
    assert await builds(session, member, f"{name}.git") == 1
    assert await sessions(session, member) == before + 1
    await shut_down(session, events[-1])


async def test_a_launch_page_refreshed_in_mid_build_ends_in_one_server(
    federation: Federation, session: aiohttp.ClientSession, chromium: Path
) -> None:
    spec = federation.repository("refreshed", postBuild=SLOW)
    before = {name: await sessions(session, member) for name, member in federation.members.items()}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(f"{federation.url}/v2/{spec}")
        for step in (1, 3):
            await expect(page.locator("#log-lines")).to_contain_text(f"step {step}", timeout=LAUNCH_LIMIT)
            await page.reload()
        await expect(page.locator("#log-lines")).to_contain_text("step 1step 2step 3")
        await page.wait_for_url(re.compile("/user/"), timeout=LAUNCH_LIMIT)
        await browser.close()
    after = {name: await sessions(session, member) for name, member in federation.members.items()}
    assert sum(after.values()) == sum(before.values()) + 1
    counted = [await builds(session, member, "refreshed.git") for member in federation.members.values()]
    assert sum(counted) == 1
