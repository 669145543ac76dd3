from __future__ import annotations

import asyncio

import pytest
from door_stage import SPEC, WELL, Door, StockMember, series, until

from federation.core.model import Member, State

Pair = tuple[StockMember, StockMember]
HUB_DOWN = {"ok": False, "checks": [{"service": "JupyterHub API", "ok": False}]}
ILL = {"ok": False, "checks": [*HUB_DOWN["checks"], {"service": "Docker registry", "ok": False}]}


def full(used: int = 10) -> dict[str, object]:
    quota = {"service": "Pod quota", "total_pods": used, "user_pods": used, "quota": 10, "ok": used <= 10}
    return {"ok": True, "checks": [*WELL["checks"], {**quota, "_ignore_failure": True}]}


async def test_health_is_503_only_when_nobody_can_take_a_launch(members: Pair) -> None:
    alpha, beta = members
    async with Door(alpha.configured(), beta.configured()) as door:
        alpha.status, alpha.told = 503, HUB_DOWN
        await until(lambda: door.state("alpha") is State.DEGRADED)
        async with door.ask("/health") as answer:
            (told,) = [one for one in (await answer.json())["checks"] if one["service"] == "alpha"]
            assert answer.status == 200 and not told["ok"]
            assert told["reason"] == "starts no sessions now: failing: JupyterHub API"
        one, other = (await door.json("/federation/v1/members"))["members"]
        assert (one["state"], one["lost"], one["effective_weight"]) == ("degraded", ["launch"], 0)
        assert (other["state"], other["lost"]) == ("healthy", [])
        alpha.told = ILL
        await until(lambda: door.state("alpha") is State.EJECTED)
        async with door.ask("/health") as answer:
            assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == "*"
            assert await answer.json() == {
                "ok": True,
                "checks": [
                    {"service": "Members", "ok": True},
                    {
                        "service": "alpha",
                        "ok": False,
                        "_ignore_failure": True,
                        "reason": "ejected: failing: JupyterHub API, Docker registry",
                    },
                    {"service": "beta", "ok": True, "_ignore_failure": True},
                ],
            }
        beta.told = full()
        await until(lambda: door.door.pool.views()[1].seats)
        async with door.ask("/health") as answer:
            assert answer.status == 503 and not (await answer.json())["ok"]
        async with door.session.head(f"{door.url}/health") as answer:
            assert answer.status == 503


async def test_a_front_door_that_sees_nobody_keeps_its_last_good_view_and_says_so(members: Pair) -> None:
    async with Door(*(member.configured() for member in members)) as door:
        assert (await door.json("/federation/v1/members"))["blind_since"] is None
        before = [check["service"] for check in (await door.json("/health"))["checks"]]
        await asyncio.gather(*(member.die() for member in members))
        await until(lambda: door.door.pool.blind_since is not None)
        async with door.ask("/health") as answer:
            told = await answer.json()
            assert (
                answer.status == 200
                and told["ok"]
                and told["checks"][0] == {"service": "Members", "ok": True}
            )
            assert told["checks"][-1] == {"service": "Own view", "ok": False, "_ignore_failure": True}
        told = await door.json("/federation/v1/members")
        assert told["blind_since"] == door.door.pool.blind_since
        assert [one["state"] for one in told["members"]] == ["healthy", "healthy"]
        assert "the last good view is kept since" in await door.text("/status")
        assert "\nfederation_blind 1.0" in await door.text("/metrics")
        await members[0].start()
        await until(lambda: door.door.pool.blind_since is None)
        assert [check["service"] for check in (await door.json("/health"))["checks"]] == before
        assert (await door.json("/federation/v1/members"))["blind_since"] is None
        assert "is kept since" not in await door.text("/status")
        (alpha, _) = (await door.json("/federation/v1/members"))["members"]
        assert (alpha["state"], alpha["reason"]) == ("healthy", "")


async def test_a_front_door_judges_another_as_it_judges_a_member(members: Pair) -> None:
    inner = Door(members[0].configured(), Member("dead", "http://127.0.0.1:1", 1.0))
    async with inner, Door(Member("inner", str(inner.url), 1.0)) as outer:
        assert outer.state("inner") is State.HEALTHY
        assert (await outer.launch()).last["phase"] == "ready"


async def test_active_hosts_has_upstreams_shape(members: Pair) -> None:
    alpha, beta = members
    beta.told = full()
    drained = Member("off", alpha.configured().url, 0.0)
    async with Door(alpha.configured(50.0), beta.configured(), drained) as door:
        url = alpha.configured().url
        assert await door.json("/active_hosts") == {
            "active_hosts": {
                "alpha": {
                    "url": url,
                    "weight": 50.0,
                    "health": f"{url}/health",
                    "versions": f"{url}/versions",
                }
            }
        }


async def test_versions_are_ours_and_the_members(members: Pair) -> None:
    async with Door(*(member.configured() for member in members)) as door:
        told = await door.json("/versions")
    assert told["binderhub"] == "1.0" and told["builder"] == "r2d"
    assert set(told["members"]) == {"alpha", "beta"} and told["binder-federation"]


async def test_members_are_told_whole(members: Pair) -> None:
    members[0].told = full(4)
    async with Door(members[0].configured(2.0), Member("dead", "http://127.0.0.1:1", 1.0)) as door:
        alpha, dead = (await door.json("/federation/v1/members"))["members"]
    assert alpha["state"] == "healthy" and alpha["reason"] == "" and alpha["since"] > 0
    assert (alpha["weight"], alpha["effective_weight"]) == (2.0, 2.0)
    assert (alpha["seats"], alpha["free"], alpha["leases"]) == (10, 6, 0)
    assert alpha["versions"]["binderhub"] == "1.0"
    assert 0 <= alpha["signals"]["probe"]["age"] < 5
    assert [check["service"] for check in alpha["signals"]["probe"]["checks"]] == [
        "JupyterHub API",
        "Pod quota",
    ]
    assert (dead["state"], dead["reason"], dead["effective_weight"]) == (
        "ejected",
        "refused the connection",
        0,
    )
    assert dead["signals"]["probe"]["age"] is None


async def test_explain_says_why_and_why_not_and_sends_nothing(members: Pair) -> None:
    async with Door(members[0].configured(), Member("dead", "http://127.0.0.1:1", 1.0)) as door:
        told = await door.json("/federation/v1/explain?spec=gh/Binder-Examples/requirements/HEAD")
        assert told["repo_key"] == "/build/gh/binder-examples/requirements"
        assert [candidate["name"] for candidate in told["candidates"]] == ["alpha"]
        assert told["exclusions"] == [{"name": "dead", "reason": "ejected: refused the connection"}]
        wish = await door.json("/federation/v1/explain?spec=gh/a/b/HEAD%3Fmember=alpha")
        assert "?member=" in wish["why"]
    assert not members[0].requests


async def test_state_metrics_are_one_hot_before_and_after_a_recovery(members: Pair) -> None:
    alpha = members[0]
    async with Door(alpha.configured()) as door:

        async def seen() -> tuple[dict[str, float], list[str], dict[str, float]]:
            text = await door.text("/metrics")
            states = series(text, "federation_member_state")
            return (
                series(text, "federation_health"),
                [labels for labels, value in states.items() if value],
                series(text, "federation_health_check"),
            )

        well = ({'member="alpha",reason=""': 1.0}, ['member="alpha",state="healthy"'])
        assert (await seen())[:2] == well
        alpha.status, alpha.told = 503, HUB_DOWN
        await until(lambda: door.state("alpha") is State.DEGRADED)
        assert await seen() == (
            {'member="alpha",reason="failing: JupyterHub API"': 0.0},
            ['member="alpha",state="degraded"'],
            {'check="JupyterHub API",member="alpha"': 0.0},
        )
        assert series(await door.text("/metrics"), "federation_member_operation_lost") == {
            'member="alpha",operation="build"': 0.0,
            'member="alpha",operation="launch"': 1.0,
        }
        alpha.told = ILL
        await until(lambda: door.state("alpha") is State.EJECTED)
        assert await seen() == (
            {'member="alpha",reason="failing: JupyterHub API, Docker registry"': 0.0},
            ['member="alpha",state="ejected"'],
            {'check="JupyterHub API",member="alpha"': 0.0, 'check="Docker registry",member="alpha"': 0.0},
        )
        await alpha.die()
        await until(lambda: "refused" in door.door.pool.views()[0].reason)
        assert await seen() == (
            {'member="alpha",reason="refused the connection"': 0.0},
            ['member="alpha",state="ejected"'],
            {},
        )
        alpha.status, alpha.told = 200, full()
        await alpha.start()
        await until(lambda: door.state("alpha") is State.HEALTHY)
        assert (await seen())[:2] == (
            {'member="alpha",reason="Pod quota"': 0.0},
            ['member="alpha",state="healthy"'],
        )
        alpha.told = WELL
        await until(lambda: door.door.pool.views()[0].seats is None)
        assert (await seen())[:2] == well


async def test_launches_are_counted_truly_and_a_removed_member_vanishes(members: Pair) -> None:
    alpha, beta = members
    async with Door(alpha.configured(1e9), beta.configured(1e-9)) as door:
        await door.launch()
        await door.launch(f"{SPEC}?member=beta")
        await alpha.die()
        await door.launch()
        text = await door.text("/metrics")
        assert series(text, "federation_redirect_count")['member="beta",reason="asked"'] == 1
        ended = series(text, "federation_launches_total")
        assert set(ended) == {f'cause="ready",member="{name}",outcome="ready"' for name in ("alpha", "beta")}
        assert sum(ended.values()) == 3
        counts = series(text, "federation_launch_ready_seconds_count")
        assert sum(counts.values()) == 3 and counts['member="alpha"'] == 1
        lost = series(text, "federation_failovers_total")
        assert lost in ({}, {'cause="refused",member="alpha"': 1.0})  # or a probe was quicker
        door.reconfigure([beta.configured()])
        text = await door.text("/metrics")
        assert "alpha" not in text and 'member="beta"' in text


@pytest.mark.parametrize(
    ("health", "versions"),
    [
        (None, b'{"a": "\\ud800", "\\ud800": 1}'),
        (None, b'{"a": %s}' % (b"1" * 400)),
        (None, b'{"a": %s%s}' % (b"[" * 400, b"]" * 400)),
        (
            b'{"service": "Pod quota", "ok": true, "total_pods": 1%s, "quota": 1%s}'
            % (b"0" * 400, b"0" * 400),
            None,
        ),
        (b'{"service": "x", "ok": true, "\\ud800": 1, "y": 1%s}' % (b"0" * 30), None),
    ],
    ids=["lone surrogate", "huge number", "deep", "huge quota", "odd check"],
)
async def test_what_one_member_tells_of_itself_never_spoils_what_is_told_of_all(
    health: bytes | None, versions: bytes | None, members: Pair
) -> None:
    alpha, beta = members
    if health is not None:
        alpha.told = b'{"ok": true, "checks": [%s]}' % health
    if versions is not None:
        alpha.versions = versions
    async with Door(alpha.configured(), beta.configured()) as door:
        for path in (
            "/versions",
            "/health",
            "/federation/v1/members",
            "/status",
            "/metrics",
            "/active_hosts",
        ):
            async with door.ask(path) as answer:
                assert answer.status == 200, path
                assert "beta" in await answer.text(), path
