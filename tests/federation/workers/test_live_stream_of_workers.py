"""The live stream of a front door of several processes is the captain's, through whichever worker it is heard."""

from __future__ import annotations

from pathlib import Path

import pytest
from crew_stage import Crew, configured
from door_stage import StockMember
from heard import Heard

pytestmark = pytest.mark.integration


async def test_a_listener_at_one_worker_hears_of_launches_at_the_other(tmp_path: Path) -> None:
    async with StockMember("alpha") as alpha:
        crew = Crew(tmp_path)
        crew.configure(configured(alpha))
        async with crew:
            one, other = crew.pids()
            with crew.alone(one):
                answer = await crew.ask("/federation/v1/events")
            stream = Heard(answer)
            assert (await stream.next("members"))["members"][0]["name"] == "alpha"
            with crew.alone(other):
                assert (await crew.launch()).last["phase"] == "ready"
            assert (await stream.next("decision"))["outcome"] == "ready"
            await alpha.die()
            await stream.state(0, "ejected")
            crew.process.terminate()
            with pytest.raises(EOFError):
                while True:
                    await stream.block()
            assert await crew.process.wait() == 0
