from __future__ import annotations

import io
from dataclasses import replace

from door_stage import SPEC, Door, StockMember, series

from federation.adapters.log import FactLog
from federation.core.facts import Fact, LaunchEnded, Outcome, Redirected
from federation.core.launchkey import parse_launch
from federation.core.model import Member, MemberView
from federation.core.rules import LaunchRules, LogRules, Mode, PolicyRules

Pair = tuple[StockMember, StockMember]
REDIRECT = LaunchRules(mode=Mode.REDIRECT)


async def where(door: Door, path: str = SPEC) -> str:
    async with door.ask(path) as answer:
        assert answer.status == 307, await answer.text()
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Headers"] == "cache-control, last-event-id"
        return str(answer.headers["Location"])


async def host(door: Door, path: str = SPEC) -> str:
    return (await where(door, path)).partition("/build")[0]


async def test_a_launch_is_handed_over_with_its_raw_path_and_query(members: Pair) -> None:
    alpha = members[0].configured()
    async with Door(alpha, launch=REDIRECT) as door:
        assert await where(door) == alpha.url + SPEC
        path = "/build/git/https%3A%2F%2Fexample.org%2Fa.git/x%20y/?build_token=a.b&member=beta&q=%2F"
        assert await where(door, path) == alpha.url + path.replace("&member=beta", "")
        async with door.session.head(f"{door.url}{SPEC}", allow_redirects=False) as answer:
            assert answer.status == 307 and answer.headers["Location"] == alpha.url + SPEC
        async with door.session.options(f"{door.url}{SPEC}") as answer:
            assert answer.status == 200
        assert 'federation_redirect_count{member="alpha",reason="load_balancer"} 2.0' in await door.text(
            "/metrics"
        )


async def test_a_repository_keeps_its_member_and_repositories_spread(members: Pair) -> None:
    async with Door(*(member.configured() for member in members), launch=REDIRECT) as door:
        one = {await host(door, f"/build/gh/a/b/ref-{number}") for number in range(5)}
        many = {await host(door, f"/build/gh/a/b-{number}/HEAD") for number in range(30)}
        assert (len(one), len(many)) == (1, 2)


async def test_random_spreads_one_repository(members: Pair) -> None:
    async with Door(
        *(member.configured() for member in members), launch=REDIRECT, policy=PolicyRules("random")
    ) as door:
        assert len({await host(door) for _ in range(40)}) == 2


async def test_a_dead_member_is_passed_over_and_none_is_a_failed_event(members: Pair) -> None:
    dead, alpha = Member("dead", "http://127.0.0.1:1", 1e9), members[0].configured(1e-9)
    async with Door(dead, alpha, launch=REDIRECT) as door:
        assert await where(door) == alpha.url + SPEC
    async with Door(dead, launch=REDIRECT) as door:
        launched = await door.launch()
        assert launched.status == 200 and launched.phases == ["failed"]
        assert "No member can take a launch now" in launched.last["message"]


async def test_weight_zero_takes_nothing(members: Pair) -> None:
    async with Door(members[0].configured(0), members[1].configured(), launch=REDIRECT) as door:
        hosts = {await host(door, f"/build/gh/a/b-{number}/HEAD?member=alpha") for number in range(20)}
        assert hosts == {members[1].configured().url}


async def test_a_head_tells_the_way_and_counts_as_no_launch(members: Pair) -> None:
    async with Door(members[0].configured(), launch=REDIRECT) as door:
        async with door.session.head(f"{door.url}{SPEC}", allow_redirects=False) as answer:
            assert answer.status == 307 and answer.headers["Location"].endswith(SPEC)
        text = await door.text("/metrics")
        assert series(text, "federation_redirect_count") == {'member="alpha",reason="load_balancer"': 0}
        assert "federation_launches_total{" not in text


async def test_one_launch_is_one_fact_and_holds_the_members_as_they_stood(members: Pair) -> None:
    told: list[Fact] = []
    async with Door(*(member.configured() for member in members), launch=REDIRECT) as door:
        door.door._listeners.append(told.append)
        views = door.door.pool.views()
        await where(door, f"{SPEC}?member=beta")
        (fact,) = told
        assert isinstance(fact, Redirected)
        assert fact.launch == parse_launch(SPEC, "member=beta")
        assert fact.view.member.name == "beta" and fact.view in fact.views and fact.views is views
        text = await door.text("/metrics")
        assert 'federation_redirect_count{member="beta",reason="asked"} 1.0' in text
        assert 'federation_launches_total{cause="redirected",member="beta",outcome="redirected"} 1.0' in text


async def test_a_launch_that_nobody_takes_is_one_failed_launch(members: Pair) -> None:
    told: list[Fact] = []
    async with Door(Member("dead", "http://127.0.0.1:1", 1.0), launch=REDIRECT) as door:
        door.door._listeners.append(told.append)
        launched = await door.launch()
        assert launched.phases == ["failed"] and "dead: ejected: " in launched.last["message"]
        (ended,) = [fact for fact in told if isinstance(fact, LaunchEnded | Redirected)]
        assert isinstance(ended, LaunchEnded) and ended.decision is not None
        assert replace(ended, decision=None, at=0.0) == LaunchEnded(
            parse_launch(SPEC), 1, Outcome.FAILED, None, 0, "no_member", 0.0
        )
        (dead,) = ended.decision.exclusions
        assert (dead.name, dead.reason) == ("dead", "ejected: refused the connection")
        assert not ended.decision.candidates


async def test_a_full_member_is_a_last_resort(members: Pair) -> None:
    alpha = members[0]
    alpha.told = {"checks": [{"service": "Pod quota", "ok": False, "total_pods": 5, "quota": 5}]}
    async with Door(alpha.configured(), launch=REDIRECT) as door:
        assert await host(door) == alpha.configured().url
        text = await door.text("/metrics")
        assert 'federation_redirect_count{member="alpha",reason="last_resort"} 1.0' in text


def test_the_log_tells_of_handed_over_launches_when_it_tells_everything() -> None:
    view = MemberView(Member("alpha", "http://alpha", 1.0))
    for level, lines in (("info", 0), ("debug", 1)):
        stream = io.StringIO()
        launch = parse_launch(SPEC, "build_token=secret")
        FactLog(LogRules(level), stream).listen(Redirected(launch, 1, view, (view,)))
        told = stream.getvalue()
        assert told.count("\n") == lines and "secret" not in told
