"""Launches of our own: they find who is sick, bring back who is well, and leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from door_stage import FAST, SOON, Door, Play, StockMember, event, plays, until

from federation.adapters.session_end import HttpSessionEnd
from federation.adapters.transport import open_session
from federation.core.facts import AttemptEnded, CanaryEnded, Chosen, Fact, LaunchEnded, Outcome, StateChanged
from federation.core.launchkey import parse_spec
from federation.core.model import State
from federation.core.rules import CanaryRules, HealthRules, LaunchRules, Mode

SPEC = "gh/binder-examples/conda/HEAD"
BROKEN = plays(event(phase="launching", message="…"), event(phase="failed", message="no node"))


def often(every: float = 0.3, **more: float) -> HealthRules:
    return replace(SOON, canary=CanaryRules(SPEC, every), **more)  # type: ignore[arg-type]


class Servers:
    """The servers of sessions; `ended` are those that were asked to end."""

    def __init__(self) -> None:
        self.url = ""
        self.started = 0
        self.ended: list[tuple[str, str]] = []
        self.status = 200
        self.headers: dict[str, str] = {}

    async def success(self, request: web.Request, response: web.StreamResponse) -> None:
        self.started += 1
        await response.write(event(phase="launching", message="…"))
        await response.write(event(phase="ready", url=f"{self.url}/user/{self.started}/", token="t&t"))
        await asyncio.Event().wait()

    async def _shutdown(self, request: web.Request) -> web.Response:
        self.ended.append((request.path, request.query.get("token", "")))
        return web.Response(status=self.status, headers=self.headers)


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    servers = Servers()
    app = web.Application()
    app.router.add_post("/{path:.*}", servers._shutdown)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    servers.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield servers
    await runner.cleanup()


@asynccontextmanager
async def federation(
    *plays: Play, health: HealthRules, launch: LaunchRules = FAST
) -> AsyncIterator[tuple[Door, list[StockMember], list[Fact]]]:
    """A front door over members that do this, and all facts from its start on. Nothing may stay open at its end."""
    members = [StockMember(name, play) for name, play in zip(("alpha", "beta", "gamma"), plays, strict=False)]
    for member in members:
        await member.start()
    facts: list[Fact] = []
    door = Door(*(member.configured() for member in members), health=health, launch=launch)
    try:
        async with door:
            door.door._listeners.append(facts.append)
            yield door, members, facts
        await until(lambda: not any(member.open for member in members), 5)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("canary")]
        if launch.mode is Mode.RELAY:
            assert not any(view.leases for view in door.door.pool.views() if view.seats is None)
    finally:
        for member in members:
            await member.die()


def ended(facts: list[Fact], member: str) -> list[CanaryEnded]:
    return [fact for fact in facts if isinstance(fact, CanaryEnded) and fact.member == member]


def sent(members: list[StockMember]) -> Callable[[], bool]:
    return lambda: all(member.requests for member in members)


async def test_an_idle_member_is_launched_on_and_its_session_ended(servers: Servers) -> None:
    async with federation(servers.success, servers.success, health=often()) as (door, members, facts):
        await until(lambda: len(servers.ended) >= 3 and ended(facts, "alpha") and ended(facts, "beta"))
        assert servers.ended[0] == ("/user/1/api/shutdown", "t&t")
        request = members[0].requests[0]
        assert request.rel_url.raw_path == f"/build/{SPEC}"
        assert request.headers["Accept"] == "text/event-stream"
        one = ended(facts, "alpha")[0]
        assert (one.outcome, one.launch.repo_key) == (Outcome.READY, "/build/gh/binder-examples/conda")
        assert one.id < 0
        text = await door.text("/metrics")
        assert 'federation_canaries_total{member="alpha",outcome="ready"}' in text
        # No visitor came, and nothing may look as if one had.
        assert not [fact for fact in facts if isinstance(fact, AttemptEnded | LaunchEnded | Chosen)]
        assert "federation_attempts_total{" not in text
        assert (await door.json("/federation/v1/decisions"))["decisions"] == []


async def test_a_member_whose_launches_fail_is_found_without_any_visitor(servers: Servers) -> None:
    async with federation(servers.success, BROKEN, health=often(eject_base=60)) as (door, members, facts):
        await until(lambda: door.state("beta") is State.EJECTED)
        assert door.state("alpha") is State.HEALTHY
        assert len(ended(facts, "beta")) <= 4  # of one repository, and each of them counts
        view = door.door.pool.view("beta")
        assert view is not None
        assert "launches failed" in view.reason
        await until(lambda: members[1].open == 0)
        count = len(members[1].requests)
        await asyncio.sleep(1)
        assert len(members[1].requests) == count  # it takes no launches, so it gets none


async def test_a_canary_that_is_ready_nowhere_ejects_nobody() -> None:
    async with federation(BROKEN, BROKEN, BROKEN, health=often()) as (_, __, facts):
        await until(lambda: all(len(ended(facts, name)) > 4 for name in ("alpha", "beta", "gamma")))
        assert not [fact for fact in facts if isinstance(fact, StateChanged)]


async def test_a_failure_that_nobody_mended_is_no_proof_beside_a_member_with_visitors(
    servers: Servers,
) -> None:
    """The repository of the canary may be what fails: alpha was never tried with it."""
    async with federation(servers.success, BROKEN, health=often(0.6)) as (door, members, facts):

        async def visits() -> None:
            while True:
                await door.launch("/build/gh/visitors/own/HEAD?member=alpha")
                await asyncio.sleep(0.05)

        visitors = asyncio.create_task(visits())
        try:
            await until(lambda: len(ended(facts, "beta")) > 4)
        finally:
            visitors.cancel()
            await asyncio.gather(visitors, return_exceptions=True)
        assert door.state("beta") is State.HEALTHY
        assert ended(facts, "alpha") == []
        assert {request.path for request in members[0].requests} == {"/build/gh/visitors/own/HEAD"}


async def test_a_member_that_visitors_are_redirected_to_gets_none(servers: Servers) -> None:
    redirects = replace(FAST, mode=Mode.REDIRECT)
    async with federation(servers.success, servers.success, health=often(0.6), launch=redirects) as (
        door,
        members,
        facts,
    ):

        async def visits() -> None:
            while True:
                assert (await door.launch("/build/gh/visitors/own/HEAD?member=alpha")).status == 307
                await asyncio.sleep(0.05)

        visitors = asyncio.create_task(visits())
        try:
            await until(lambda: len(ended(facts, "beta")) > 1)
        finally:
            visitors.cancel()
            await asyncio.gather(visitors, return_exceptions=True)
        assert members[0].requests == []


async def test_a_refusal_for_want_of_a_seat_lowers_what_the_member_is_known_to_hold(servers: Servers) -> None:
    full = plays(event(phase="failed", message="Too many users on this BinderHub", status_code=503))
    async with StockMember("alpha", full) as member:
        quota = {"service": "Pod quota", "ok": True, "total_pods": 5, "quota": 9}
        member.told = {"ok": True, "checks": [quota]}
        async with Door(member.configured(), health=often()) as door:
            await until(lambda: member.requests)
            await until(lambda: door.door.pool.views()[0].capacity == 5)


async def test_a_member_on_trial_comes_back_by_its_canary(servers: Servers) -> None:
    async with federation(servers.success, BROKEN, health=often(eject_base=1.5)) as (door, members, facts):
        await until(lambda: door.state("beta") is State.EJECTED)
        members[1].play = servers.success
        await until(lambda: door.state("beta") is State.HEALTHY)
        states = [fact.after for fact in facts if isinstance(fact, StateChanged) and fact.member == "beta"]
        assert states[-4:] == [State.EJECTED, State.TRIAL, State.RECOVERING, State.HEALTHY]


async def test_a_trial_does_not_wait_until_a_canary_is_due(servers: Servers) -> None:
    async with federation(servers.success, servers.success, health=often(600)) as (door, _, facts):
        pool = door.door.pool
        for id in range(1, 7):  # visitors whose launches beta let down
            for member, outcome, cause in (("beta", Outcome.LOST, "launch"), ("alpha", Outcome.READY, "")):
                fact = AttemptEnded(parse_spec(SPEC), id, member, 1, outcome, cause, "", 1.0)
                pool.listen(fact)
        assert door.state("beta") is State.EJECTED
        await until(lambda: door.state("beta") is State.HEALTHY)
        assert [one.outcome for one in ended(facts, "beta")] == [Outcome.READY]
        assert ended(facts, "alpha") == []


async def test_a_launch_that_stands_still_is_given_up() -> None:
    still = plays(event(phase="launching", message="…"), hold=True)
    fast = replace(FAST, stuck_after=0.5)
    async with federation(still, health=often(), launch=fast) as (_, __, facts):
        await until(lambda: ended(facts, "alpha"))
        one = ended(facts, "alpha")[0]
        assert (one.outcome, one.cause) in ((Outcome.LOST, "stuck"), (Outcome.LOST, "silent"))


async def test_words_without_a_new_phase_are_no_move() -> None:
    async def alive(request: web.Request, response: web.StreamResponse) -> None:
        while True:
            await response.write(event(phase="launching", message="still"))
            await asyncio.sleep(0.05)

    fast = replace(FAST, stuck_after=0.5)
    async with federation(alive, health=often(), launch=fast) as (_, __, facts):
        await until(lambda: ended(facts, "alpha"))
        assert ended(facts, "alpha")[0].cause == "stuck"
        assert ended(facts, "alpha")[0].why == "has not moved for 0.5 s in launching"


async def test_one_at_a_time_on_a_member_that_holds_a_seat_and_is_cut_off_at_the_end() -> None:
    still = plays(event(phase="launching", message="…"), hold=True)
    async with federation(still, still, health=often(0.1)) as (door, members, _):
        await until(sent(members))
        await asyncio.sleep(0.5)
        assert [len(member.requests) for member in members] == [1, 1]
        assert [view.leases for view in door.door.pool.views()] == [1, 1]


async def test_a_full_member_keeps_its_last_seats_for_visitors(servers: Servers) -> None:
    quota = {"service": "Pod quota", "ok": True, "total_pods": 5, "quota": 5}
    async with StockMember("alpha", servers.success) as full:
        full.told = {"ok": True, "checks": [quota]}
        async with Door(full.configured(), health=often(0.1)):
            await asyncio.sleep(1)
            assert full.requests == []
            quota["total_pods"] = 1
            await until(lambda: full.requests)


async def test_there_are_none_without_the_rule_and_they_follow_it() -> None:
    still = plays(event(phase="launching", message="…"), hold=True)
    async with federation(still, health=SOON) as (door, members, _):
        await asyncio.sleep(0.5)
        assert members[0].requests == []
        door.door.configured = replace(door.door.configured, health=often())
        door.reconfigure([members[0].configured()])
        await until(sent(members))
        door.reconfigure([])  # the member is gone, and so is what ran there
        await until(lambda: members[0].open == 0)


async def test_the_token_goes_to_the_server_alone(servers: Servers) -> None:
    servers.status, servers.headers = 307, {"Location": f"{servers.url}/elsewhere"}
    async with open_session() as session:
        end = HttpSessionEnd(session)
        await end.end(f"{servers.url}/user/x", "a")
        for url in (f"{servers.url}/user/x/../../", f"{servers.url}/?x=", "file:///etc", "//x"):
            await end.end(url, "b")
        await end.end("http://127.0.0.1:9/user/x/", "c")  # nobody there: no fault of ours
    assert servers.ended == [("/user/x/api/shutdown", "a")]
