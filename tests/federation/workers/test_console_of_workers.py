"""The console of a front door of several processes is the captain's: a session from one worker holds at the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from crew_stage import Crew, configured
from door_stage import StockMember

from federation.web.identity import COOKIE, digest

pytestmark = pytest.mark.integration


async def test_a_session_holds_at_every_worker(tmp_path: Path) -> None:
    async with StockMember("alpha") as alpha:
        crew = Crew(tmp_path)
        people = {"olga": {"role": "operator", "tokens": [f"sha256:{digest('right')}"]}}
        crew.configure(configured(alpha), operators=people)
        async with crew:
            one, other = crew.pids()
            with crew.alone(one):
                told = {"data": {"token": "right"}, "headers": {"Origin": crew.url}, "allow_redirects": False}
                async with crew.session.post(f"{crew.url}/operator/login", **told) as answer:
                    assert answer.status == 303
                    session = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}
            with crew.alone(other):
                async with crew.ask("/operator", headers=session) as answer:
                    assert "Log out olga" in await answer.text()
                path = "/federation/v1/members/alpha/launch?spec=gh/u/r/HEAD"
                async with crew.ask(path, headers=session) as answer:
                    assert b"event: end\n" in await answer.read()
            assert len(alpha.requests) == 1
