"""What visitors notice of a member's death: one of three is killed under steady load, and started again later.

Launches come at a fixed rate, whatever becomes of those before. A visitor notices who is redirected to the dead member,
or whose relayed stream does not end with `ready`. Everything runs on loopback by the rules that a front door has by
itself, and ends by its own limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import aiohttp
import uvloop
from yarl import URL

from benchmarks.failover_stage import MemberProcess, front_door

RATE = 200  # launches a second
REPOSITORIES = 997
COMMIT = 40 * "a"  # which means what it says: nobody has to be asked, on loopback nobody could be
BEFORE = 3.0  # seconds of load before the death
STILL_DEAD = 5.0  # seconds without a launch there until the member is started again, and out for certain
OUT_LIMIT, BACK_LIMIT = 15.0, 30.0  # seconds
MODE_LIMIT = 58.0  # seconds for one mode
DEAD = "beta"

# Measured on one core by the same means, redirects only, and with other members: its share of launches is not of ours.
UPSTREAM = ("12.9 s", "11 %", "290 s")


@dataclass(slots=True)
class Click:
    """One launch. `sent` are the members that it was sent to, and when."""

    begun: float
    sent: list[tuple[str, float]] = field(default_factory=list)
    ended: float = math.inf
    ready: bool = False

    def last_to(self, name: str) -> float:
        return max((at for member, at in self.sent if member == name), default=0.0)


@dataclass(frozen=True, slots=True)
class Result:
    """Times in seconds; None when it was not seen within the limit."""

    rate: float  # launches a second that really came
    last_sent: float  # from the death
    meanwhile: int  # launches under way at the death, or begun until the last was sent there
    noticed: int
    used_again: float | None  # from the moment at which it accepts connections again


class Load:
    """Launches that come at `RATE` until it is left. `async with` it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, mode: str, members: dict[str, int]) -> None:
        self.clicks: list[Click] = []
        self._session = session
        self._url = url
        self._click = self._relayed if mode == "relay" else self._redirected
        self._names = {port: name for name, port in members.items()}
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Load:
        self._task = asyncio.create_task(self._come())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        for task in self._open:
            task.cancel()
        await asyncio.gather(self._task, *self._open, return_exceptions=True)

    def last_sent(self, name: str, since: float) -> float:
        """When a launch was last sent to this member; `since` if none was."""
        return max((click.last_to(name) for click in self._recent(since)), default=since)

    def first_sent(self, name: str, since: float) -> float | None:
        times = [
            at for click in self._recent(since) for member, at in click.sent if member == name and at >= since
        ]
        return min(times, default=None)

    def _recent(self, since: float) -> list[Click]:
        return [click for click in self.clicks if click.begun >= since - BEFORE]

    async def _come(self) -> None:
        begun = _now()
        for number in count():
            await asyncio.sleep(max(0.0, begun + number / RATE - _now()))
            task = asyncio.create_task(self._one(f"/build/gh/bench/r{number * 7 % REPOSITORIES}/{COMMIT}"))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _one(self, path: str) -> None:
        click = Click(_now())
        self.clicks.append(click)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            await self._click(f"{self._url}{path}", click)
        click.ended = _now()

    async def _redirected(self, url: str, click: Click) -> None:
        async with self._session.get(url, allow_redirects=False) as answer:
            location = answer.headers.get("Location")
            if answer.status == 307 and location is not None:
                port = URL(location).port
                click.sent.append((self._names[port or 0], _now()))
                click.ready = True

    async def _relayed(self, url: str, click: Click) -> None:
        async with self._session.get(url, headers={"Accept": "text/event-stream"}) as answer:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    if "attempt" in event:
                        click.sent.append((event["member"], _now()))
                    click.ready = event["phase"] == "ready"


async def measure(folder: Path, mode: str) -> Result:
    async with contextlib.AsyncExitStack() as held:
        processes = {
            name: await held.enter_async_context(MemberProcess()) for name in ("alpha", DEAD, "gamma")
        }
        ports = {name: process.port for name, process in processes.items()}
        url = await held.enter_async_context(front_door(folder, mode, ports))
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=20)
        session = await held.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=timeout))
        load = await held.enter_async_context(Load(session, url, mode, ports))
        await asyncio.sleep(BEFORE)
        killed = _now()
        await processes[DEAD].kill()
        await _until(lambda: _now() - load.last_sent(DEAD, killed) >= STILL_DEAD, OUT_LIMIT)
        last, rate = load.last_sent(DEAD, killed), len(load.clicks) / (_now() - load.clicks[0].begun)
        await processes[DEAD].start()
        started = _now()
        await _until(lambda: load.first_sent(DEAD, started) is not None, BACK_LIMIT)
        first = load.first_sent(DEAD, started)
        meanwhile = [click for click in load.clicks if click.begun <= last and click.ended > killed]
        missed = [click for click in meanwhile if _noticed(click, mode, killed)]
        used_again = None if first is None else first - started
        return Result(rate, max(0.0, last - killed), len(meanwhile), len(missed), used_again)


async def _until(met: Callable[[], bool], limit: float) -> None:
    """Waits for what comes of the load, for so many seconds at most."""
    deadline = _now() + limit
    while not met() and _now() < deadline:  # noqa: ASYNC110 - it happens in other processes
        await asyncio.sleep(0.1)


def _noticed(click: Click, mode: str, killed: float) -> bool:
    if mode == "relay":
        return not click.ready
    return not click.ready or click.last_to(DEAD) > killed


def _now() -> float:
    return time.monotonic()


def table(results: dict[str, Result]) -> str:
    """Both modes beside federation-redirect."""
    names = (
        "last launch sent to it after its death",
        "launches meanwhile whose visitor notices",
        "used again",
    )
    cells = [[_last(one), _share(one), _back(one)] for one in results.values()]
    heads = [f"{mode} ({one.rate:.0f}/s)" for mode, one in results.items()]
    rows = [["one of three members is killed", *heads, "federation-redirect"]]
    rows += [[name, *(cell[row] for cell in cells), UPSTREAM[row]] for row, name in enumerate(names)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


def _last(one: Result) -> str:
    return f"{one.last_sent:.1f} s"


def _share(one: Result) -> str:
    share = 100 * one.noticed / one.meanwhile if one.meanwhile else 0.0
    return f"{share:.0f} % ({one.noticed} of {one.meanwhile:,})"


def _back(one: Result) -> str:
    return f"not within {BACK_LIMIT:.0f} s" if one.used_again is None else f"{one.used_again:.1f} s"


async def main() -> None:
    results = {}
    with tempfile.TemporaryDirectory() as name:
        for mode in ("redirect", "relay"):
            async with asyncio.timeout(MODE_LIMIT):
                results[mode] = await measure(Path(name), mode)
    print(table(results))


if __name__ == "__main__":
    uvloop.run(main())
