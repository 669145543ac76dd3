"""Redirects per second of one front door against a bare aiohttp server that answers a constant 307.

They are asked in turn, in one run, on this machine; only the ratio means anything. The front door is as operators run
it: it looks at its members meanwhile, and counts and tells every launch.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import uvloop

from benchmarks.load import ask, new_paths
from benchmarks.stage import MEMBERS, Served, front_door, metrics, server

CONNECTIONS, EACH, ROUNDS = 16, 200, 45
REPOSITORIES = 200
TARGET = 0.85
WORKERS, WORKERS_TARGET = 2, 1.7  # over one process; each worker, the captain and the load need a core


@dataclass(slots=True)
class Contender:
    """Who is asked for these paths, in turn with others; answers per second, round by round."""

    name: str
    served: Served
    paths: Iterator[str]
    rates: list[float] = field(default_factory=list)
    processor: float = 0.0  # seconds that the server took for all of them

    async def asked(self) -> None:
        before = self.served.processor()
        load = await ask(
            self.served.port, self.paths, expected=b"HTTP/1.1 307", connections=CONNECTIONS, each=EACH
        )
        self.processor += self.served.processor() - before
        self.rates.append(load.rate)

    def line(self, ratio: float) -> str:
        each = 1e6 * self.processor / (len(self.rates) * CONNECTIONS * EACH)
        figures = f"{statistics.median(self.rates):>9,.0f}{min(self.rates):>9,.0f}{max(self.rates):>9,.0f}"
        return f"{self.name:36}{figures}{each:>9.1f} µs{ratio:>9.2f}"


def known_paths() -> Iterator[str]:
    return cycle([f"/build/gh/somebody/repository-{number}/HEAD" for number in range(REPOSITORIES)])


async def measured(folder: Path) -> list[Contender]:
    """The yardstick first. A first round, in which all warm up, does not count. What was never seen goes to a front
    door of its own, where it pushes nothing out that others ask for again."""
    async with (
        server("member") as member,
        front_door(folder, "redirect", member) as door,
        front_door(folder, "redirect", member) as other_door,
        front_door(folder, "redirect", member, workers=WORKERS) as workers,
        server("bare") as bare,
    ):
        contenders = [
            Contender("bare web.Server", bare, known_paths()),
            Contender("front door", door, known_paths()),
            Contender("front door, repositories never seen", other_door, new_paths()),
            Contender(f"front door, {WORKERS} workers", workers, known_paths()),
        ]
        for turn in range(ROUNDS + 1):
            for one in contenders:
                await one.asked()
                if turn == 0:
                    one.rates.clear()
                    one.processor = 0.0
        await asyncio.sleep(1)  # workers tell what they did a moment later
        for served in (door, other_door, workers):
            await _counted(served)
    return contenders


async def _counted(door: Served) -> None:
    """Fails unless the front door has told of every single launch."""
    sent = (ROUNDS + 1) * CONNECTIONS * EACH
    told = await metrics(door, "federation_redirect_count")
    if told != sent:
        raise RuntimeError(f"the front door counted {told:.0f} launches, {sent} were sent")


def ratio(one: Contender, yardstick: Contender) -> float:
    """The median of the rounds' ratios, since what else the machine does weighs on both sides of a round."""
    return statistics.median(mine / bare for mine, bare in zip(one.rates, yardstick.rates, strict=True))


def table(contenders: list[Contender]) -> str:
    bare, door, *_, workers = contenders
    head = f"{'redirects per second':36}{'median':>9}{'least':>9}{'most':>9}{'processor':>12}{'ratio':>9}"
    met = "within" if ratio(door, bare) >= TARGET else "BELOW"
    rows = [one.line(ratio(one, bare)) for one in contenders]
    gain = ratio(workers, door)
    return "\n".join(
        [
            head,
            *rows,
            f"front door: {met} the target of {TARGET}",
            f"{WORKERS} workers over one process: {gain:.2f} on {os.cpu_count()} cores (target {WORKERS_TARGET} on "
            f"{WORKERS + 2} or more)",
        ]
    )


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="binder-bench-") as folder:
        found = await measured(Path(folder))
    print(
        f"{CONNECTIONS} connections, {ROUNDS} rounds of {CONNECTIONS * EACH:,} requests in turn; {MEMBERS} members"
    )
    print(table(found))


if __name__ == "__main__":
    uvloop.run(main())
