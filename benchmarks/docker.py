"""What a launch on a Docker member takes, beside JupyterHub alone and beside a stock BinderHub.

Member and bare hub are measured in turn, in one run, on one engine. The stock BinderHub's figures are not of this
run: they were measured on a machine of the same kind, with the same engine and base image, and stand here as data.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.docker_stage import Bench, Times, bench, dockerfile

PAIRS, BUILDS, CROWD = 12, 3, 10
SETTLED = 1.0  # seconds
CACHED_TARGET, OVERHEAD_TARGET = 2.2, 0.1  # seconds

# BinderHub with its local builder, measured on a machine of the same kind (2 cores, Debian 12, engine 20.10).
STOCK = {
    "known image": "2.1 to 2.6 ready",
    "Dockerfile": "2.1 built, 4.75 ready",
    "requirements, empty cache": "13.0 built, 15.6 ready",
    "requirements, layers cached": "4.1 built, 6.6 ready",
    "failing build": "2.2 failed",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: `here` is what was measured, in words."""

    what: str
    here: str


def median(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        raise RuntimeError("a launch did not come to the event that was measured")
    return statistics.median(known)


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


async def known_image(member: Bench, spec: str, image: str) -> list[Row]:
    """Member and bare hub in turn; what the member adds is the median of the differences."""
    through: list[float] = []
    bare: list[float] = []
    for _ in range(PAIRS):
        for launch, times in ((partial(member.launch, spec), through), (partial(member.bare, image), bare)):
            launched = await launch()
            times.append(median([launched.ready]))
            await member.remove(launched.user)
            await asyncio.sleep(SETTLED)  # the engine still tidies up; the next launch must not pay for it
    cached = statistics.median(through)
    added = statistics.median(one - other for one, other in zip(through, bare, strict=True))
    return [
        Row("bare JupyterHub, POST to ready", f"{spread(bare)} ready"),
        Row("known image", f"{spread(through)} ready{verdict(cached, CACHED_TARGET)}"),
        Row("the member's own part of it", f"{added * 1000:.0f} ms{verdict(added, OVERHEAD_TARGET)}"),
    ]


def verdict(value: float, target: float) -> str:
    return f", {'within' if value <= target else 'OVER'} the target of {target:g} s"


async def builds(member: Bench, what: str, files: Sequence[dict[str, str]]) -> Row:
    """One new repository after the other."""
    progress(what)
    found = [await build(member, f"{what}-{number}", each) for number, each in enumerate(files)]
    built, ready = median([times.built for times in found]), median([times.ready for times in found])
    return Row(what, f"{built:.1f} built, {ready:.1f} ready")


async def build(member: Bench, name: str, files: dict[str, str]) -> Times:
    times = await member.launch(member.repository(name.replace(" ", "-").replace(",", ""), files))
    await member.remove(times.user)
    return times


async def failing(member: Bench) -> Row:
    progress("failing build")
    files = {"Dockerfile": dockerfile("RUN exit 3")}
    times = await build(member, "failing", files)
    return Row("failing build", f"{median([times.failed]):.1f} failed")


async def crowd(member: Bench, spec: str) -> Row:
    progress(f"{CROWD} at once")
    found = await asyncio.gather(*(member.launch(spec) for _ in range(CROWD)))
    await member.remove(*(times.user for times in found))
    ready = [median([times.ready]) for times in found]
    return Row(f"{CROWD} at once, known image", f"{spread(ready)} ready")


async def measured(member: Bench) -> list[Row]:
    # What takes the base to the registry is no part of any other build.
    progress("first image")
    spec = member.repository("first", {"Dockerfile": dockerfile()})
    first = await member.launch(spec)
    await member.remove(first.user)
    progress("known image, in turn with a bare JupyterHub")
    rows = await known_image(member, spec, first.image)
    dockerfiles = [{"Dockerfile": dockerfile(f"RUN echo {number} > made")} for number in range(BUILDS)]
    rows.append(await builds(member, "Dockerfile", dockerfiles))
    await build(member, "venv-first", {"requirements.txt": ""})
    member.engine.run("builder", "prune", "--all", "--force")
    rows.append(await builds(member, "requirements, empty cache", [{"requirements.txt": "six==1.16.0\n"}]))
    packages = [{"requirements.txt": f"six==1.{minor}.0\n"} for minor in (15, 14, 13)]
    rows.append(await builds(member, "requirements, layers cached", packages))
    rows.append(await failing(member))
    rows.append(await crowd(member, spec))
    return rows


def progress(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


async def main() -> None:
    progress("engine, base images, registry and member")
    with tempfile.TemporaryDirectory(prefix="binder-bench-") as folder:
        async with bench(Path(folder)) as member:
            rows = await measured(member)
    wide = max(len(row.here) for row in rows)
    print(
        f"{'seconds, medians':31}  {'this member':{wide}}  stock BinderHub, measured on a machine of the same kind"
    )
    for row in rows:
        print(f"{row.what:31}  {row.here:{wide}}  {STOCK.get(row.what, '-')}")


if __name__ == "__main__":
    asyncio.run(main())
