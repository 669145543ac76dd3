"""Every panel against a real Prometheus that reads a real front door and members under a short load."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import promql_parser
import pytest
from board_reader import FOLDER, Question, metrics, questions
from federation_under_load import federation
from prometheus_stage import running_prometheus

from dashboards.queries import STATE_WORDS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

RULES = FOLDER.parent / "prometheus" / "rules"
# A scrape takes place every second; Grafana would take four of them at least.
VARIABLES = {"__rate_interval": "30s", "__range": "60s", "member": ".+"}
PATIENCE = 25.0  # seconds for what Prometheus has not read yet

# The metrics that nobody exports here, and why: what asks for one of them has no data.
ABSENT: Mapping[str, str] = {
    "federation_member_certificate_expiry_seconds": "the members of this stage are reached without TLS",
}


async def test_every_metric_exists_and_every_panel_has_data_and_tells_the_truth(tmp_path: Path) -> None:
    async with loaded(tmp_path) as prometheus:
        asked = [each for each in questions() if not named(each) & ABSENT.keys()]
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while asked := await unanswered(prometheus, asked):
                    await asyncio.sleep(0.5)
        assert not asked, "no data for:\n" + "\n".join(map(str, asked))
        known = set(await prometheus.told("label/__name__/values"))
        every = {name for each in questions() for name in named(each)}
        assert not sorted(every - known - ABSENT.keys()), "nobody exports these"
        await tells_the_truth(prometheus)


async def tells_the_truth(prometheus: Prometheus) -> None:
    """A few figures that the stage knows itself."""

    async def figures(panel: str, ref: str = "A", board: str = "Federation overview") -> dict[str, float]:
        (asked,) = (each for each in questions() if (each.board, each.panel, each.ref) == (board, panel, ref))
        return await prometheus.figures(asked.filled(**VARIABLES))

    async with asyncio.timeout(PATIENCE):
        while await figures("Members that take launches") != {"": 2}:
            await asyncio.sleep(0.2)  # the last read may be a second old
    words = {figure: word for figure, (word, _) in STATE_WORDS.items()}
    states = {name: words[int(figure)] for name, figure in (await figures("State")).items()}
    assert states["killed"] == "ejected" and states["drained"] == "drained"
    assert await figures("Members that take launches", "B") == {"": 4}
    expected = await figures("Expected and actual share", "B")
    assert expected["drained"] == expected["killed"] == 0 and sum(expected.values()) == pytest.approx(1)
    assert await figures("Waiting now", "B", board="Quota and capacity") == {"": 3}
    assert 0.5 < (await figures("Launches that worked"))[""] < 1  # one found no room


class Prometheus:
    """Asked as Grafana asks it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def told(self, path: str, **parameters: str) -> list[Any]:
        async with self._session.get(f"{self._url}/api/v1/{path}", params=parameters) as answer:
            document = await answer.json()
            assert document["status"] == "success", (parameters, document)
            data = document["data"]
            found: list[Any] = data["result"] if isinstance(data, dict) else data
            return found

    async def figures(self, query: str) -> dict[str, float]:
        """One figure by member."""
        rows = await self.told("query", query=query)
        return {row["metric"].get("member", ""): float(row["value"][1]) for row in rows}


@asynccontextmanager
async def loaded(folder: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus that has read the federation before, during and after what happened to it."""
    async with federation() as running:
        ports = {member.name: member.port for member in running.members}
        door = running.door.url.port
        assert door is not None
        prometheus = running_prometheus(folder, ports, doors=[door], rules=prompt_rules(folder))
        # Its start is waited for in a thread of its own, since those whom it reads run in this one.
        url = await asyncio.to_thread(prometheus.__enter__)
        try:
            asked = Prometheus(url, running.door.session)
            async with asyncio.timeout(PATIENCE):
                while not await asked.told("query", query="federation_build_info"):
                    await asyncio.sleep(0.2)
            await running.everything()
            await asyncio.sleep(
                1.1
            )  # a read between the two: what began with the first load grows by the second
            await running.fill()
            await running.kill()
            running.break_a_loop()
            await running.everything()
            yield asked
        finally:
            await asyncio.to_thread(prometheus.__exit__, None, None, None)


def prompt_rules(folder: Path) -> list[Path]:
    """The rules, evaluated as often as the test's Prometheus reads."""
    found = []
    for file in RULES.glob("*.yml"):
        copy = folder / file.name
        copy.write_text(re.sub(r"(?m)^ *interval: .*\n", "", file.read_text()))
        found.append(copy)
    assert found, f"no rules in {RULES}"
    return found


async def unanswered(prometheus: Prometheus, asked: list[Question]) -> list[Question]:
    """Those without any data yet."""
    answers = [await prometheus.told("query", query=each.filled(**VARIABLES)) for each in asked]
    return [each for each, answer in zip(asked, answers, strict=True) if not answer]


def named(question: Question) -> set[str]:
    return metrics(promql_parser.parse(question.filled(**VARIABLES)))
