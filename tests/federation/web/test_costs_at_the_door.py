"""Costs at a real front door: exports in a folder, a ledger that survives, and a budget that moves launches."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from door_stage import SPEC, Door, StockMember, until

from federation.core.ledger import Account, Served, document
from federation.core.model import Member, MemberCosts, State
from federation.core.months import DAY, moment
from federation.core.pacing import LEAST, SPENT
from federation.core.rules import CostRules
from federation.service.costs import ALONE

Pair = tuple[StockMember, StockMember]
START = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
FIRST = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
DAYS = [100 + 60 * (day % 3) for day in range(19)]  # launches of each past day
PRICE = 0.1


class Noon:
    """A clock that goes on from the noon of a day in the middle of a month."""

    def __init__(self) -> None:
        self._ahead = START - time.time()

    def now(self) -> float:
        return time.time() + self._ahead


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A state folder with the ledger, and exports beside it: alpha's launches cost 10 cents each."""
    exports, state = tmp_path / "exports", tmp_path / "state"
    exports.mkdir()
    state.mkdir()
    account = Account()
    for day, launches in enumerate((50, *DAYS), -1):
        start = FIRST + day * DAY
        account.add(Served(launches=launches, whole=launches, session_hours=launches / 4), start)
        line = f"{moment(start)},{moment(start + DAY)},{PRICE * launches}"
        (exports / f"report-{day}.csv").write_text(f"Start Time,End Time,Cost\n{line}\n")
    (state / "ledger.json").write_text(json.dumps(document({"alpha": account}, FIRST - DAY)))
    yield tmp_path


def front_door(pair: Pair, folder: Path, cap: float | None, **more: Any) -> Door:
    costs = MemberCosts(exports=str(folder / "exports"), cap=cap)
    alpha, beta = pair[0].configured(costs=costs), pair[1].configured()
    return Door(alpha, beta, clock=Noon(), state_folder=str(folder / "state"), **more)


def pace_of(door: Door, name: str = "alpha") -> float:
    view = door.door.pool.view(name)
    assert view is not None
    return view.pacing.factor


async def of(door: Door, name: str, path: str = "/federation/v1/costs") -> dict[str, Any]:
    return next(one for one in (await door.json(path))["members"] if one["name"] == name)


async def test_exports_become_the_cost_of_a_launch(members: Pair, folder: Path) -> None:
    async with front_door(members, folder, cap=1000.0) as door:
        await until(lambda: door.door.costs.figures()[0].cost)
        told = await door.json("/federation/v1/costs")
        assert (told["currency"], told["month"]) == ("USD", "2026-11")
        alpha, beta = told["members"]
        cost = sum(DAYS) * PRICE
        assert alpha["cost"] == pytest.approx(cost, abs=0.1) and alpha["cap"] == 1000
        assert alpha["launches"] == sum(DAYS) and alpha["per_launch"] == pytest.approx(PRICE, rel=0.01)
        assert alpha["session_hours"] == sum(DAYS) / 4
        assert alpha["per_session_hour"] == pytest.approx(4 * PRICE, rel=0.01)
        assert alpha["told_until"] == "2026-11-20T00:00:00+00:00"
        assert (beta["cost"], beta["cap"], beta["per_launch"], beta["pace"]) == (None, None, None, 1.0)

        page = await door.text("/metrics")
        assert 'federation_member_cap{currency="USD",member="alpha"} 1000.0' in page
        assert f'federation_member_launches_served_total{{member="alpha"}} {50 + sum(DAYS)}.0' in page
        assert 'federation_member_pace{member="beta"} 1.0' in page
        assert 'federation_member_cost_month{currency="USD",member="beta"}' not in page

        months = (await door.json("/federation/v1/ledger"))["months"]
        assert [(one["month"], one["members"][0]["launches"]) for one in months] == [
            ("2026-11", sum(DAYS)),
            ("2026-10", 50),
        ]
        assert months[1]["members"][0]["cost"] == 5.0

        lines = [json.loads(line) for line in (await door.text("/archive/cloud-costs.jsonl")).splitlines()]
        assert len(lines) == 20 and lines == sorted(lines, key=lambda line: line["start_time"])
        assert sum(line["cost"] for line in lines) == pytest.approx(cost + 5)
        published = folder / "state" / "archive" / "cloud-costs.jsonl"
        await until(published.exists)
        assert [json.loads(line) for line in published.read_text().splitlines()] == lines


async def test_a_budget_that_is_spent_moves_launches_to_others_until_none_is_left(
    members: Pair, folder: Path
) -> None:
    async with front_door(members, folder, cap=100.0) as door:
        await until(lambda: pace_of(door) < 1)
        alpha = door.door.pool.view("alpha")
        assert alpha is not None and (alpha.pacing.factor, alpha.weight) == (LEAST, LEAST)
        shown = await of(door, "alpha", "/federation/v1/members")
        assert (shown["pace"], shown["pace_reason"]) == (LEAST, f"{SPENT}: 2 %")
        assert shown["share"]["expected"] == pytest.approx(LEAST / (1 + LEAST))
        asked = await door.json("/federation/v1/explain?spec=gh/a/b/HEAD")
        assert f"{SPENT}: 2 %" in {one["name"]: one["note"] for one in asked["candidates"]}["alpha"]
        takers = [(await door.launch(f"/build/gh/a/{number}/HEAD")).takers for number in range(20)]
        assert takers.count(["beta"]) >= 15

        door.reconfigure([replace(alpha.member, weight=3.0), members[1].configured()])
        moved = door.door.pool.view("alpha")
        assert moved is not None
        assert moved.pacing.factor == LEAST and moved.weight == pytest.approx(3 * LEAST)

        await members[1].die()
        await until(lambda: door.state("beta") is State.EJECTED)
        await until(lambda: pace_of(door) == 1)
        shown = await of(door, "alpha")
        assert (shown["pace"], shown["pace_reason"]) == (1.0, ALONE)
        assert (await door.launch()).takers == ["alpha"]


async def test_pacing_can_be_switched_off_and_a_fee_is_never_paced(members: Pair, folder: Path) -> None:
    async with front_door(members, folder, cap=100.0, costs=CostRules("EUR", pace=False)) as door:
        await until(lambda: door.door.costs.figures()[0].cost)
        door.door.costs.beat()
        assert pace_of(door) == 1
        assert (await door.json("/federation/v1/costs"))["currency"] == "EUR"
    fee = members[0].configured(costs=MemberCosts(monthly=300.0, cap=400.0))
    async with Door(fee, members[1].configured(), clock=Noon()) as door:
        door.door.costs.beat()
        told = await of(door, "alpha")
        assert told["cost"] == pytest.approx(300 * 19.5 / 30, abs=0.01)
        assert (told["pace"], told["pace_reason"], told["estimated"]) == (1.0, "", 0)


async def test_a_bad_export_is_told_and_the_others_count(members: Pair, folder: Path) -> None:
    bad = folder / "exports" / "report-bad.csv"
    bad.write_text("Start Time,End Time,Cost\n2026-11-01,2026-11-02,?\n")
    async with front_door(members, folder, cap=None) as door:
        await until(lambda: door.door.costs.figures()[0].cost)
        assert (await of(door, "alpha"))["cost"] == pytest.approx(sum(DAYS) * PRICE, abs=0.1)
        await until(lambda: door.door.costs._problems)
        assert door.door.costs._problems == {f"{bad}: line 2: Cost: '?', expected a number"}
        assert 'federation_loop_faults_total{where="costs"} 1.0' in await door.text("/metrics")


async def test_the_ledger_survives_a_restart(members: Pair, tmp_path: Path) -> None:
    alpha, beta = members
    alpha.told = {"ok": True, "checks": [{"service": "Pod quota", "ok": True, "total_pods": 3, "quota": 9}]}
    only = Member("off", "http://127.0.0.1:1", 0.0)
    for launches in (1, 2):
        async with Door(alpha.configured(), only, state_folder=str(tmp_path / "state")) as door:
            assert (await door.launch(SPEC)).last["phase"] == "ready"
            await until(lambda: door.door.ledger.account("alpha").whole.launches == launches)  # noqa: B023
            await until(lambda: door.door.ledger.account("alpha").whole.session_hours > 0)
            hours = door.door.ledger.account("alpha").whole.session_hours
    async with Door(beta.configured(), state_folder=str(tmp_path / "state")) as door:
        (month,) = (await door.json("/federation/v1/ledger"))["months"]
        (gone,) = month["members"]
        assert (gone["name"], gone["launches"], gone["cost"]) == ("alpha", 2, None)
        assert gone["session_hours"] == pytest.approx(hours, abs=0.01)
