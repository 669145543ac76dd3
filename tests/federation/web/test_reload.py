"""The served process: a changed file is followed, a bad one refused, and a signal ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from door_stage import READY, SPEC, StockMember, event, plays, until

from federation.app import serve
from federation.settings import SettingsError

Pair = tuple[StockMember, StockMember]


def write(file: Path, *members: StockMember, **more: Any) -> None:
    told = {"members": {member.name: {"url": member.configured().url} for member in members}, **more}
    part = file.with_suffix(".part")
    part.write_text(json.dumps(told), encoding="utf-8")
    part.replace(file)  # as editors do


@asynccontextmanager
async def served(file: Path) -> AsyncIterator[str]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(file, host="127.0.0.1", port=0, on_ready=ready.set_result))
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    try:
        yield await ready
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def names(session: aiohttp.ClientSession, url: str) -> list[str]:
    async with session.get(f"{url}/active_hosts") as answer:
        return sorted((await answer.json())["active_hosts"])


async def becomes(session: aiohttp.ClientSession, url: str, expected: list[str]) -> None:
    async with asyncio.timeout(15):
        while await names(session, url) != expected:
            await asyncio.sleep(0.05)


async def test_a_good_edit_is_taken_over_and_a_bad_one_refused(
    tmp_path: Path, members: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "federation.yaml"
    write(file, members[0])
    told = ""

    def heard(words: str) -> bool:
        nonlocal told
        told += capsys.readouterr().err
        return words in told

    async with served(file) as url, aiohttp.ClientSession() as session:
        await becomes(session, url, ["alpha"])
        write(file, *members)
        await becomes(session, url, ["alpha", "beta"])
        file.write_text("members: {alpha: {url: http://x, wieght: 3}}", encoding="utf-8")
        await until(lambda: heard("did you mean weight?"), 15)
        assert await names(session, url) == ["alpha", "beta"]
        write(file, *members)  # what runs already: no news
        await asyncio.sleep(2)
        write(file, members[1])
        await becomes(session, url, ["beta"])
        async with session.get(f"{url}/metrics") as answer:
            metrics = await answer.text()
        assert 'federation_configurations_total{result="accepted"} 2.0' in metrics
        assert 'federation_configurations_total{result="refused"} 1.0' in metrics


async def test_a_configuration_that_kubernetes_swaps_is_followed(tmp_path: Path, members: Pair) -> None:
    for version, member in enumerate(members):
        (tmp_path / f"..{version}").mkdir()
        write(tmp_path / f"..{version}" / "federation.yaml", member)
    (tmp_path / "..data").symlink_to("..0")
    file = tmp_path / "federation.yaml"
    file.symlink_to("..data/federation.yaml")
    async with served(file) as url, aiohttp.ClientSession() as session:
        await becomes(session, url, ["alpha"])
        (tmp_path / "..new").symlink_to("..1")
        (tmp_path / "..new").replace(tmp_path / "..data")
        await becomes(session, url, ["beta"])


async def test_a_launch_under_way_outlives_a_reload_that_removes_its_member(
    tmp_path: Path, members: Pair
) -> None:
    go_on = asyncio.Event()
    alpha, beta = members

    async def slow(request: Any, response: Any) -> None:
        await plays(event(phase="building"))(request, response)
        await go_on.wait()
        await response.write(event(**READY))

    alpha.play = slow
    file = tmp_path / "federation.yaml"
    write(file, alpha)
    headers = {"Accept": "text/event-stream"}
    async with served(file) as url, aiohttp.ClientSession() as session:
        await becomes(session, url, ["alpha"])
        async with session.get(f"{url}{SPEC}", headers=headers) as answer:
            await answer.content.readuntil(b'"building"}')
            write(file, beta)
            await becomes(session, url, ["beta"])
            go_on.set()
            assert b'"phase": "ready"' in await answer.content.read()


async def test_a_bad_file_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "federation.yaml"
    file.write_text("members: 3", encoding="utf-8")
    with pytest.raises(SettingsError, match="members"):
        await serve(file, host="127.0.0.1", port=0)


async def test_an_address_in_use_is_an_error_that_leaves_nothing_behind(
    tmp_path: Path, members: Pair
) -> None:
    file = tmp_path / "federation.yaml"
    write(file, members[0])
    with pytest.raises(OSError, match="address already in use"):
        await serve(file, host="127.0.0.1", port=members[1].port)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("monitor ")]


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]
)
async def test_a_connection_that_asks_nothing_is_closed(
    sent: bytes, tmp_path: Path, members: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.app.serving.IDLE", 0.5)
    file = tmp_path / "federation.yaml"
    write(file, members[0])
    async with served(file) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(sent)
        await asyncio.wait_for(reader.read(), 8)
        writer.close()
