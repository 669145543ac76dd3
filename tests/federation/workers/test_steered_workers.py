"""What operators set through one worker is in force in all of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crew_stage import Crew, configured
from door_stage import SPEC, StockMember
from steering_stage import ANA, AUDIT, MEMBERS, bearer

from federation.core.operatortoken import digest

pytestmark = pytest.mark.integration


async def test_all_workers_follow_what_one_of_them_was_told(tmp_path: Path) -> None:
    async with StockMember("alpha") as alpha, StockMember("beta") as beta:
        crew = Crew(tmp_path)
        crew.configure(configured(alpha, beta), operators={"ana": {"tokens": [f"sha256:{digest(ANA)}"]}})
        wish = {"state": "drained", "reason": "disk", "by": "Ana"}

        async def steer(token: str, tag: str, body: dict[str, Any]) -> Any:
            headers = {**bearer(token), "If-Match": tag}
            async with crew.session.patch(f"{crew.url}{MEMBERS}/alpha", json=body, headers=headers) as answer:
                return answer.status, answer.headers.get("ETag"), await answer.json()

        async with crew:
            await crew.until(lambda told: all(one == ["alpha", "beta"] for one in told))
            async with crew.ask(f"{MEMBERS}/alpha") as answer:
                tag = answer.headers["ETag"]
            with crew.alone(crew.pids()[0]):
                assert (await steer("", tag, wish))[0] == 401
                status, after, told = await steer(ANA, tag, wish)
            assert (status, told["reason"], told["override"]["drained"]["by"]) == (
                200,
                "drained: disk",
                "Ana",
            )
            with crew.alone(crew.pids()[1]):
                status, found, _ = await steer(ANA, tag, {"weight": 3})
                assert (status, found) == (412, after)
            await crew.until(lambda told: all(one == ["beta"] for one in told))
            for pid in crew.pids():
                with crew.alone(pid):
                    assert (await crew.launch(f"{SPEC}?member=alpha")).takers == ["beta"]
            assert (await steer(ANA, after, {"state": "active"}))[0] == 200
            await crew.until(lambda told: all(one == ["alpha", "beta"] for one in told))
            async with crew.ask(AUDIT, headers=bearer(ANA)) as answer:
                entries = (await answer.json())["entries"]
            assert [(one["id"], one["who"]) for one in entries] == [(2, "ana"), (1, "ana")]
            assert {"audit.jsonl", "overrides.json"} <= {path.name for path in tmp_path.glob("*.state/*")}
