"""A blocking job in a thread, whose end is always awaited; knows nothing of what the job does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from threading import Event
from typing import Concatenate, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Stopped(Exception):
    """The job found its stop event set and gave up."""


async def blocking(
    job: Callable[Concatenate[Event, Arguments], Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """`job(stop, ...)` in a thread.

    On cancellation `stop` is set and the job's end awaited, so that nothing runs on.

    The job must look at `stop` at least every second and raise Stopped when it is set.
    """
    stop = Event()
    running = asyncio.ensure_future(asyncio.to_thread(job, stop, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        with contextlib.suppress(Exception):
            await running
        raise
