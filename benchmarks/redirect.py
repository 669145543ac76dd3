"""Redirects per second of one front door against a bare aiohttp server that answers a constant 307.

Both are measured in turn, in one run, on this machine; only the ratio means anything. The front door looks at its
members every second, and counts and tells every launch, meanwhile.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import uvloop

from benchmarks.load import ask, new_paths
from benchmarks.stage import MEMBERS, Served, front_door, metrics, server

CONNECTIONS, EACH, ROUNDS = 16, 1000, 9
REPOSITORIES = 200
TARGET = 0.85


@dataclass(frozen=True, slots=True)
class Contender:
    """Someone who is asked in turn with the others: at this port, for these paths."""

    name: str
    port: int
    paths: Iterator[str]


async def rates(contenders: list[Contender]) -> dict[str, list[float]]:
    """Answers per second of each, round by round; a first round, in which they warm up, does not count."""
    found: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for turn in range(ROUNDS + 1):
        for one in contenders:
            load = await ask(
                one.port, one.paths, expected=b"HTTP/1.1 307", connections=CONNECTIONS, each=EACH
            )
            if turn:
                found[one.name].append(load.rate)
    return found


def known_paths() -> Iterator[str]:
    return cycle([f"/build/gh/somebody/repository-{number}/HEAD" for number in range(REPOSITORIES)])


async def measured(folder: Path) -> dict[str, list[float]]:
    async with (
        server("member") as member,
        front_door(folder, "redirect", member) as door,
        server("bare") as bare,
    ):
        found = await rates(
            [
                Contender("bare web.Server", bare.port, known_paths()),
                Contender("front door", door.port, known_paths()),
                Contender("front door, repositories never seen", door.port, new_paths()),
            ]
        )
        await _counted(door)
    return found


async def _counted(door: Served) -> None:
    """Fails unless the front door has told of every single launch."""
    sent = 2 * (ROUNDS + 1) * CONNECTIONS * EACH
    told = await metrics(door, "federation_redirect_count")
    if told != sent:
        raise RuntimeError(f"the front door counted {told:.0f} launches, {sent} were sent")


def table(found: dict[str, list[float]]) -> str:
    (_, yardstick), *others = found.items()
    lines = [f"{'redirects per second, one process':40}{'median':>9}{'least':>9}{'most':>9}  of the bare one"]
    for name, values in found.items():
        line = f"{name:40}{statistics.median(values):>9,.0f}{min(values):>9,.0f}{max(values):>9,.0f}"
        share = statistics.median(one / bare for one, bare in zip(values, yardstick, strict=True))
        lines.append(f"{line}  {share:.2f}")
    met = statistics.median(one / bare for one, bare in zip(others[0][1], yardstick, strict=True)) >= TARGET
    lines.append(f"{'within' if met else 'BELOW'} the target of {TARGET} for repositories seen before")
    return "\n".join(lines)


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="binder-bench-") as folder:
        found = await measured(Path(folder))
    print(
        f"{CONNECTIONS} connections, {ROUNDS} rounds in turn of {CONNECTIONS * EACH:,} requests; {MEMBERS} members"
    )
    print(table(found))


if __name__ == "__main__":
    uvloop.run(main())
