"""A process that writes an archive as fast as it can: `python archive_writer.py FOLDER HOW`.

HOW is `endless`, to be killed, or `room`: first it may write files of 2,000 bytes at most, as on a full disk, then of
any size, and it prints what it was told meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from federation.adapters.archive_files import ArchiveFiles
from federation.adapters.clock import SystemClock
from federation.core.facts import Fact, LaunchEnded, LoopFailed, Outcome
from federation.core.launchkey import parse_spec
from federation.core.rules import ArchiveRules, Settings

FEW = 20


def launch(number: int) -> LaunchEnded:
    spec = parse_spec(f"gh/user/repo-{number}/HEAD")
    return LaunchEnded(spec, number, Outcome.READY, "alpha", 1, "ready", 1.0, at=SystemClock().now())


async def main(folder: str, how: str) -> None:
    settings, told = Settings((), archive=ArchiveRules(folder)), list[Fact]()
    async with ArchiveFiles(lambda: settings, SystemClock(), told.append) as archive:
        if how == "endless":
            for number in range(10**9):
                archive.listen(launch(number))
                if number % 100 == 0:
                    await asyncio.sleep(0.001)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, most))
        for number in range(FEW):
            archive.listen(launch(number))
        while not told:
            await asyncio.sleep(0.01)
        archive.listen(launch(FEW))
        while archive._thread.waiting:
            await asyncio.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    faults = [str(fact.error) for fact in told if isinstance(fact, LoopFailed)]
    print(json.dumps({"faults": faults}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
