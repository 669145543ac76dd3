from __future__ import annotations

import asyncio
from dataclasses import replace

from door_stage import SOON, Door, StockMember, until

from federation.core.facts import Fact, LoopFailed
from federation.core.model import Member, State
from federation.core.rules import HealthRules, Settings
from federation.service.monitor import Monitor
from federation.service.pool import Pool
from federation.service.ports import ProbeResult

Pair = tuple[StockMember, StockMember]
RARELY = HealthRules(interval=3600)


class Clock:
    def now(self) -> float:
        return 0.0


class Scripted:
    """A prober that looks as long as it is told to, and once raises."""

    def __init__(self) -> None:
        self.looks: list[Member] = []
        self.go = asyncio.Event()
        self.go.set()
        self.fault: Exception | None = None

    async def probe(self, member: Member) -> ProbeResult:
        self.looks.append(member)
        await self.go.wait()
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        return ProbeResult(member.name, 0.0, True, True)


async def test_a_member_is_ejected_and_comes_back(members: Pair) -> None:
    alpha, beta = members
    async with Door(alpha.configured(), beta.configured()) as door:
        assert door.state("alpha") is State.HEALTHY
        alpha.status, alpha.told = 503, {"ok": False, "checks": [{"service": "JupyterHub API", "ok": False}]}
        await until(lambda: door.state("alpha") is State.DEGRADED)
        view = door.door.pool.view("alpha")
        assert view is not None and view.reason == "failing: JupyterHub API"
        assert view.refusal == "starts no sessions now: failing: JupyterHub API"
        alpha.status, alpha.told = 200, {"ok": True, "checks": []}
        await until(lambda: door.state("alpha") is State.HEALTHY)
        await alpha.die()
        await until(lambda: door.state("alpha") is State.EJECTED)
        await alpha.start()
        await until(lambda: door.state("alpha") is State.HEALTHY)
        assert door.state("beta") is State.HEALTHY


async def test_one_hung_member_delays_no_look_at_another(members: Pair) -> None:
    async with Door(
        members[0].configured(),
        Member("hung", "http://10.255.255.1:9", 1.0),
        health=replace(SOON, timeout=5),
        wait=False,
    ):
        await until(lambda: members[0].looks >= 5, 4)


async def test_after_a_first_bad_look_the_next_comes_early(members: Pair) -> None:
    rules = replace(SOON, interval=5.0, fall=3, jitter=0.0)
    async with Door(members[0].configured(), health=rules) as door:
        await members[0].die()
        door.door.pool.refused("alpha", "refused the connection")
        await until(lambda: door.state("alpha") is State.EJECTED, 3)


async def test_tasks_follow_the_configuration_and_end_with_the_block() -> None:
    prober, facts = Scripted(), list[Fact]()
    a, b = Member("a", "http://a", 1.0), Member("b", "http://b", 1.0)
    pool = Pool(Settings((a,), health=RARELY), Clock())
    settings = Settings((a,), health=RARELY)
    monitor = Monitor(pool, prober, lambda: settings, lambda: 0.5, facts.append)

    def tasks() -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("monitor ")}

    async with monitor:
        await until(lambda: pool.views()[0].state is State.HEALTHY)
        monitor.listen(
            pool.configure(
                Settings(
                    (
                        a,
                        b,
                    ),
                    health=RARELY,
                )
            )
        )
        await until(lambda: {member.name for member in prober.looks} == {"a", "b"})
        monitor.listen(pool.configure(Settings((replace(b, url="http://new"),), health=RARELY)))
        await until(lambda: prober.looks[-1].url == "http://new")
        assert tasks() == {"monitor b"}
    assert tasks() == set()


async def test_a_fault_of_the_prober_ends_no_task() -> None:
    prober, facts = Scripted(), list[Fact]()
    prober.fault = RuntimeError("ours")
    a = Member("a", "http://a", 1.0)
    pool = Pool(Settings((a,), health=RARELY), Clock())
    settings = Settings((a,), health=replace(RARELY, interval=0.05))
    async with Monitor(pool, prober, lambda: settings, lambda: 0.5, facts.append):
        await until(lambda: pool.views()[0].state is State.HEALTHY)
    assert [fact.where for fact in facts if isinstance(fact, LoopFailed)] == ["monitor of a"]


async def test_a_look_under_way_when_the_member_moved_does_not_count_and_the_next_comes_at_once() -> None:
    prober = Scripted()
    prober.go.clear()
    settings = Settings((Member("a", "http://old", 1.0),), health=RARELY)
    pool = Pool(replace(settings, health=RARELY), Clock())
    async with Monitor(pool, prober, lambda: settings, lambda: 0.5, lambda fact: None) as monitor:
        await until(lambda: prober.looks)
        monitor.listen(pool.configure(Settings((Member("a", "http://new", 1.0),), health=RARELY)))
        prober.go.set()
        prober.go.clear()  # one look ends, the next waits
        await until(lambda: len(prober.looks) == 2, 3)
        assert pool.views()[0].state is State.UNKNOWN
        prober.go.set()
        await until(lambda: pool.views()[0].state is State.HEALTHY, 3)
    assert [member.url for member in prober.looks][:2] == ["http://old", "http://new"]


async def test_new_rules_do_not_wait_for_the_old_interval() -> None:
    settings = Settings((Member("a", "http://a", 1.0),), health=RARELY)
    pool = Pool(replace(settings, health=RARELY), Clock())
    prober = Scripted()
    async with Monitor(pool, prober, lambda: settings, lambda: 0.5, lambda fact: None) as monitor:
        await until(lambda: pool.views()[0].state is State.HEALTHY)
        await asyncio.sleep(0)
        settings = replace(settings, health=replace(RARELY, interval=0.05))
        monitor.listen(pool.configure(settings))
        await until(lambda: len(prober.looks) >= 4, 3)
