"""Relayed streams in one process: what an event takes through the front door and from the member itself, and memory.

The same load is read both ways, in one run. Every stream has one event a second, so that a machine of two cores has
room for member, front door and reader. Delays run from the member's write to the reader's read: the reader's own share
is in both. A server that waited for a processor, since others had them, says so: its delays are the machine's then.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import uvloop

from benchmarks.load import Heard, listen
from benchmarks.stage import Served, front_door, server

STREAMS, EVENTS, PAUSE = 1000, 30, 1.0
MEMBERS = 40  # a member gets no more than 32 launches at once before it has shown to manage more
OPENED_WITHIN = 5.0  # seconds: 200 launches a second
ALONE = "?events=400&pause=0.002"  # one lively stream
MOST_MEMORY, MOST_ADDED = 250.0, 5.0  # MB, ms


@dataclass(frozen=True, slots=True)
class Row:
    """One way of reading. Delays in ms; what server and reader took of one processor in percent of the time, and how
    much of the time the server waited for one."""

    name: str
    delays: list[float]
    server: float
    waited: float
    reader: float

    def at(self, share: float) -> float:
        """The delay that this share of events stays within."""
        return sorted(self.delays)[min(len(self.delays) - 1, int(share * len(self.delays)))]


def paths(query: str) -> Iterator[str]:
    """Launches of repositories of their own, so that none joins another's build."""
    return (f"/build/gh/somebody/repository-{number}/HEAD{query}" for number in count())


async def row(name: str, served: Served, streams: int, query: str) -> Row:
    before, waited = served.processor(), served.waited()
    own, begun = time.process_time(), time.monotonic()
    heard: list[Heard] = await listen(
        served.port, paths(query), streams=streams, within=OPENED_WITHIN if streams > 1 else 0.0
    )
    percent = 100 / (time.monotonic() - begun)
    return Row(
        name,
        [event.delay / 1e6 for event in heard],
        percent * (served.processor() - before),
        percent * (served.waited() - waited),
        percent * (time.process_time() - own),
    )


async def measured(folder: Path) -> tuple[list[Row], float, float]:
    """The rows, and MB of the front door before and after."""
    async with server("member") as member, front_door(folder, "relay", member, members=MEMBERS) as door:
        rows = []
        before = door.memory()
        for streams, query in ((1, ALONE), (STREAMS, f"?events={EVENTS}&pause={PAUSE}")):
            for name, served in (("from the member", member), ("relayed", door)):
                rows.append(await row(f"{streams:,} {name}", served, streams, query))
        return rows, before, door.memory()


def table(rows: list[Row], before: float, after: float) -> str:
    heads = ("median", "p99", "most", "server", "waited", "reader", "events")
    lines = [f"{'ms from write to read':28}" + "".join(f"{head:>10}" for head in heads)]
    for one in rows:
        delays = f"{statistics.median(one.delays):10.2f}{one.at(0.99):10.2f}{max(one.delays):10.2f}"
        shares = f"{one.server:9.0f}%{one.waited:9.0f}%{one.reader:9.0f}%"
        lines.append(f"{one.name:28}{delays}{shares}{len(one.delays):10,}")
    direct, relayed = rows[-2:]
    added = relayed.at(0.99) - direct.at(0.99)
    lines.append(f"added at p99: {added:.2f} ms{_verdict(added, MOST_ADDED, 'ms')}")
    lines.append(
        f"memory: {before:.0f} MB at the start, {after:.0f} MB at most, {(after - before) * 1000 / STREAMS:.0f} kB "
        f"for each stream{_verdict(after, MOST_MEMORY, 'MB')}"
    )
    return "\n".join(lines)


def _verdict(value: float, most: float, unit: str) -> str:
    return f", {'within' if value <= most else 'OVER'} the target of {most:g} {unit}"


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="binder-bench-") as folder:
        rows, before, after = await measured(Path(folder))
    rate = f"an event every {PAUSE:g} s: {STREAMS / PAUSE:,.0f} events a second in all"
    print(f"{STREAMS:,} streams over {MEMBERS} members, each with {rate}")
    print(table(rows, before, after))


if __name__ == "__main__":
    uvloop.run(main())
