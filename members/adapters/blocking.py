"""A blocking job in a thread, whose end is always awaited; knows nothing of what the job does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Concatenate, Final, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


# Apart from the loop's own threads, of which there are few: a health check or a name lookup must not wait until
# an image is unpacked, or for a lock that another member holds for minutes.
_JOBS: Final = ThreadPoolExecutor(max_workers=32, thread_name_prefix="job")


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
    running = asyncio.get_running_loop().run_in_executor(_JOBS, partial(job, stop, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        with contextlib.suppress(Exception):
            await running
        raise
