"""Tokens and rate limits with a real front door before real members: each visitor is counted as themselves."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from member_fakes import until
from member_stage import SPEC, RunningMember, running_member
from pytest import fixture, mark
from yarl import URL

from federation.app import FRONT_DOOR, make_app
from federation.core.model import Member, State
from federation.core.rules import BuildTokenRules, HealthRules, LaunchRules, LogRules, Mode, Settings

SECRET = "ab" * 32
LIMITED = f"build_tokens: {{secret: {SECRET}}}\nrate_limit: {{launches: 2}}\nsessions: {{max: null}}\n"


@fixture
async def member(tmp_path: Path) -> AsyncIterator[RunningMember]:
    async with running_member(tmp_path, LIMITED + f"event_log: {tmp_path}/events.jsonl\n") as running:
        yield running


@asynccontextmanager
async def front_door(member: RunningMember, mode: Mode, secret: str | None = SECRET) -> AsyncIterator[str]:
    tokens = BuildTokenRules(None if secret is None else bytes.fromhex(secret))
    settings = Settings(
        (Member("alpha", member.url.rstrip("/"), 1.0),),
        launch=LaunchRules(mode),
        health=HealthRules(interval=0.2, timeout=5),
        log=LogRules("error"),
        trusted_proxies=("127.0.0.0/8",),
        build_tokens=tokens,
    )
    app = make_app(settings)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=3)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await until(lambda: app[FRONT_DOOR].pool.views()[0].state is State.HEALTHY)
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def last_event(url: str, visitor: str, **headers: str) -> dict[str, Any]:
    sent = {"Accept": "text/event-stream", "X-Forwarded-For": visitor, **headers}
    # As browsers do, the client takes a redirect's address as it is written.
    session = aiohttp.ClientSession(requote_redirect_url=False)
    async with session as http, http.get(URL(url, encoded=True), headers=sent) as answer:
        assert answer.status == 200
        events: list[dict[str, Any]] = []
        async for line in answer.content:
            if line.startswith(b"data: "):
                events.append(json.loads(line[6:]))
                if events[-1]["phase"] in ("ready", "failed"):
                    return events[-1]
    raise AssertionError(events)


async def page_launch(door: str) -> str:
    """The address that the front door's launch page follows."""
    async with aiohttp.ClientSession() as http, http.get(URL(f"{door}/v2/{SPEC}", encoded=True)) as answer:
        found = re.search(r'data-build="([^"]+)"', await answer.text())
    assert found is not None
    return door + found[1].replace("&amp;", "&")


async def test_a_relayed_visitor_without_a_token_is_limited_by_their_own_address(
    member: RunningMember,
) -> None:
    async with front_door(member, Mode.RELAY) as door:
        launch = f"{door}/build/{SPEC}"
        told = [(await last_event(launch, "203.0.113.9"))["phase"] for _ in range(2)]
        assert told == ["ready", "ready"]
        assert (await last_event(launch, "203.0.113.9"))["status_code"] == 429
        assert (await last_event(launch, "198.51.100.1"))["phase"] == "ready"


@mark.parametrize("mode", [Mode.RELAY, Mode.REDIRECT])
async def test_launches_from_the_front_doors_page_are_not_counted(member: RunningMember, mode: Mode) -> None:
    async with front_door(member, mode) as door:
        launch = await page_launch(door)
        # A browser tells its origin when it follows the redirect to another host, and not before.
        headers = {"Origin": door} if mode is Mode.REDIRECT else {}
        for _ in range(4):
            assert (await last_event(launch, "203.0.113.9", **headers))["phase"] == "ready"
        stolen = launch.replace(SPEC, SPEC.replace("a" * 40, "b" * 40))
        assert (await last_event(stolen, "203.0.113.9", **headers))["message"] == "Invalid build token\n"


async def test_a_front_door_without_the_secret_has_limited_pages_and_no_errors(member: RunningMember) -> None:
    async with front_door(member, Mode.RELAY, secret=None) as door:
        launch = await page_launch(door)
        assert "build_token" not in launch
        for expected in ("ready", "ready", "failed"):
            assert (await last_event(launch, "203.0.113.9"))["phase"] == expected


async def test_each_launch_is_a_line_of_the_event_log(member: RunningMember, tmp_path: Path) -> None:
    async with front_door(member, Mode.RELAY) as door:
        await last_event(await page_launch(door), "203.0.113.9")
        await last_event(
            f"{door}/build/git/http%3A%2F%2F127.0.0.1%3A1%2Fx/main",
            "203.0.113.9",
            Origin="https://site.example",
        )
        await last_event(f"{door}/build/{SPEC}?build_token=x", "203.0.113.9")
        log = tmp_path / "events.jsonl"
        await until(lambda: len(log.read_text().splitlines()) >= 2)
        first, *others = (json.loads(line) for line in log.read_text().splitlines())
    assert (first["provider"], first["status"], first["ref"]) == ("Git", "success", "a" * 40)
    assert first["spec"] == SPEC.removeprefix("git/")
    assert first["build_token"] is True
    assert first["request_origin"] == door
    assert [line["status"] for line in others] == ["failure"] * len(others)
    assert all(line["build_token"] is False for line in others)
