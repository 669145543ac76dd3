"""One launch over several connections, against a member that is a small class."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from federation.core.errors import BrokenOff, TooSlow
from federation.service.audience import Audience
from federation.service.member_link import MOST_BREAKS, PAUSES, MemberLink
from federation.service.ports import Frame

LAUNCH = "L" * 22


class FakeStream:
    """Tells frames that are put into `news`; None breaks the connection off."""

    def __init__(self, named: bool = True) -> None:
        self.news: asyncio.Queue[bool | None] = asyncio.Queue()
        self.opened: list[str] = []
        self.closed = 0
        self.told = 0
        self.named = named

    async def open(self, after: str) -> AsyncGenerator[Frame, None]:
        self.opened.append(after)
        try:
            while await self.news.get() is not None:
                self.told += 1
                yield Frame(b"{}", {}, f"{LAUNCH}.{self.told}" if self.named else "")
            raise BrokenOff("ended the stream early")
        finally:
            await asyncio.sleep(0.01)  # a close takes its time
            self.closed += 1


async def heard(link: MemberLink, found: list[str]) -> None:
    async with aclosing(link.frames()) as frames:
        async for frame in frames:
            found += [frame.id]


@pytest.fixture
def audience() -> Audience:
    made = Audience()
    made.join()
    return made


async def test_one_who_leaves_and_is_back_at_once_is_no_slow_member(audience: Audience) -> None:
    stream, found = FakeStream(), list[str]()
    task = asyncio.create_task(heard(MemberLink(stream.open, audience, 60), found))
    for number in range(1, 6):
        stream.news.put_nowait(True)
        await asyncio.sleep(0.02)
        assert len(found) == number
        audience.leave()
        for _ in range(number - 1):
            await asyncio.sleep(0)
        audience.join()
        await asyncio.sleep(0.03)
    assert not task.done()
    assert stream.opened == ["", *(f"{LAUNCH}.{number}" for number in range(1, 6))]
    task.cancel()
    await asyncio.wait({task})
    assert stream.closed == 6


async def test_a_stream_without_ids_is_kept_while_nobody_listens(audience: Audience) -> None:
    stream, found = FakeStream(named=False), list[str]()
    task = asyncio.create_task(heard(MemberLink(stream.open, audience, 60), found))
    stream.news.put_nowait(True)
    await asyncio.sleep(0.02)
    audience.leave()
    stream.news.put_nowait(True)
    await asyncio.sleep(0.02)
    assert len(found) == 2 and stream.opened == [""]
    stream.news.put_nowait(None)
    with pytest.raises(BrokenOff):
        await task


async def test_a_stream_that_only_breaks_is_given_up(audience: Audience) -> None:
    stream, found = FakeStream(), list[str]()
    for news in (True, None, *[None] * len(PAUSES)):
        stream.news.put_nowait(news)
    with pytest.raises(BrokenOff):
        await heard(MemberLink(stream.open, audience, 60), found)
    assert stream.opened == ["", *[f"{LAUNCH}.1"] * len(PAUSES)]


@pytest.mark.parametrize("away", [False, True])
async def test_the_time_limit_holds_over_all_connections(away: bool, audience: Audience) -> None:
    stream, found = FakeStream(), list[str]()
    task = asyncio.create_task(heard(MemberLink(stream.open, audience, 0.3), found))
    stream.news.put_nowait(True)
    await asyncio.sleep(0.05)
    if away:
        audience.leave()
    with pytest.raises(TooSlow, match=r"took longer than 0\.3 s"):
        await asyncio.wait_for(task, 5)


async def test_a_member_that_breaks_off_for_ever_is_given_up(
    audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though each connection brings an event: it may be a new launch each time."""
    monkeypatch.setattr("federation.service.member_link.PAUSES", (0.001, 0.001))
    stream, found = FakeStream(), list[str]()
    for _ in range(5 * MOST_BREAKS):
        stream.news.put_nowait(True)
        stream.news.put_nowait(None)
    with pytest.raises(BrokenOff):
        await asyncio.wait_for(heard(MemberLink(stream.open, audience, 60), found), 10)
    assert len(stream.opened) == 1 + MOST_BREAKS
