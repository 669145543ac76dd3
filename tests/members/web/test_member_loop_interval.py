import asyncio
import time

from member_fakes import until

from members.adapters.loop_interval import watched_loop


async def test_a_loop_that_is_held_up_shows_it_and_the_watch_ends_with_its_block() -> None:
    intervals: list[float] = []
    async with watched_loop(intervals.append):
        await until(lambda: len(intervals) >= 2)
        time.sleep(0.3)  # as bad code does
        seen = len(intervals)
        await until(lambda: len(intervals) > seen)
    assert max(intervals) >= 0.29
    assert min(intervals) >= 0.019
    seen = len(intervals)
    await asyncio.sleep(0.1)
    assert len(intervals) == seen
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "event loop interval"]
