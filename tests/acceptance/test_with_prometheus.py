"""Redirect mode: the front door sees no outcome itself, and learns of them from a real Prometheus."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from acceptance_stage import HEALTH, LAUNCH, equal, fails_to_pull, metric, repo, three, told
from door_stage import Door
from prometheus_stage import running_prometheus

from federation.core.model import State
from federation.core.rules import Mode, PrometheusRules

LIMIT = 60.0  # seconds for everything: Prometheus itself looks once a second


async def follow(door: Door, number: int) -> str:
    """A click: the 307 and the whole launch at its member. Returns where it went."""
    async with door.ask(repo(number)) as answer:
        assert answer.status == 307
        location = answer.headers["Location"]
    async with door.session.get(location) as answer:
        while line := await answer.content.readline():
            if b'"ready"' in line or b'"failed"' in line:
                break
    return location


async def test_a_failing_members_weight_falls_and_it_is_ejected_by_what_prometheus_tells(
    tmp_path: Path,
) -> None:
    async with three() as hubs:
        alpha = hubs[0]
        alpha.pull = fails_to_pull
        ports = {hub.name: hub.port for hub in hubs}
        # Its start is waited for in a thread of its own, since the members that it reads run in this one.
        prometheus = running_prometheus(tmp_path, ports)
        url = await asyncio.to_thread(prometheus.__enter__)
        try:
            rules = PrometheusRules(url=url, interval=0.5, timeout=2)
            launch = replace(LAUNCH, mode=Mode.REDIRECT)
            health = replace(HEALTH, eject_base=60)
            async with Door(*equal(hubs), launch=launch, health=health, prometheus=rules) as door:
                weights = await _click_until_ejected(door)
                assert min(weights) < 1.0, "the weight did not fall first"
                assert {state.value for state in (door.state("beta"), door.state("gamma"))} == {"healthy"}
                one = await told(door, "alpha")
                assert "launches failed" in one["reason"]
                assert one["signals"]["launch_success"]["value"] < 0.5
                assert 0 <= one["signals"]["launch_success"]["age"] < 15
                assert one["signals"]["probe"]["checks"][0] == {
                    "service": "JupyterHub API",
                    "ok": True,
                    "ignored": False,
                }  # green all the time
                assert await metric(door, "federation_member_effective_weight", member="alpha") == 0
                locations = [await follow(door, number) for number in range(10_000, 10_020)]
                assert not any(location.startswith(f"http://{alpha.proxy.host}/") for location in locations)
        finally:
            await asyncio.to_thread(prometheus.__exit__, None, None, None)


async def _click_until_ejected(door: Door) -> list[float]:
    """Visitors come all the time; returns the weights that alpha had."""
    weights: list[float] = []
    async with asyncio.timeout(LIMIT):
        number = 0
        while door.state("alpha") is not State.EJECTED:
            await asyncio.gather(*(follow(door, number + each) for each in range(6)))
            number += 6
            await asyncio.sleep(0.2)
            view = door.door.pool.view("alpha")
            assert view is not None
            if view.state is State.HEALTHY:
                weights.append(view.weight)
    return weights
