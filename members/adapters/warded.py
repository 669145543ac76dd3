"""Has a warden wait for the end of this member; knows what it removes only by label."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from members.adapters.engine import EngineDown, EngineRefused

_WARDEN = Path(__file__).with_name("warden.py")
_TIDIES_UP = "BINDER_TIDIES_UP"  # tells who cleans up behind dead members that this one still works
_END_LIMIT = 5.0  # seconds for the warden to end once it has been told


@asynccontextmanager
async def warded(socket: Path, label: str, tidy: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Everything with the label is removed from the engine at the end, however this process ends.

    At an orderly end `tidy` does it; what that cannot, because the engine is down, the warden goes on trying for
    some time after this process.
    """
    warden = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(_WARDEN), str(socket), label),
        env={**os.environ, _TIDIES_UP: "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert warden.stdin is not None
    try:
        yield
    finally:
        try:
            await tidy()
        except (EngineDown, EngineRefused):
            warden.stdin.close()
        else:
            warden.stdin.write(b"done\n")
            warden.stdin.close()
            with suppress(TimeoutError):  # it ends by itself, and has nothing left to do
                async with asyncio.timeout(_END_LIMIT):
                    await warden.wait()
