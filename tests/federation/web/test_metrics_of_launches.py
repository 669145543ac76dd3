"""What `/metrics` tells of launches, choices, the waiting room and the front door itself: zeros first, then truly."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from door_stage import READY, SPEC, SUCCESS, Door, StockMember, event, plays, series, until
from test_front_door_api import full

from federation.adapters.metrics_choices import place_label, why_label
from federation.core.facts import Chosen, LaunchEnded, Outcome, Redirected
from federation.core.lately import judgement, summed
from federation.core.launchkey import parse_spec
from federation.core.model import Candidate, Decision, MemberView, State
from federation.core.policies import POLICIES
from federation.core.routing import ASKED, BLIND, BUILDING, HOLDING, LAST_RESORT, NOBODY
from federation.core.rules import LaunchRules, Mode, PrometheusRules, WaitingRules
from federation.core.steering import NOTHING_SET, Drain, Weigh
from federation.service.steering import Signature

Pair = tuple[StockMember, StockMember]
LAUNCH = parse_spec("gh/u/r/HEAD")
BUILDS = (
    event(phase="building", message="Step 1\n"),
    event(phase="built", imageName="i", message="Built image, launching...\n"),
)


def ended(
    outcome: Outcome, cause: str, member: str | None = "alpha", id: int = 1, **more: bool
) -> LaunchEnded:
    return LaunchEnded(LAUNCH, id, outcome, member, 1, cause, 3.0, **more)


def chosen(door: Door, why: str, member: str = "alpha", *, attempt: int = 1, id: int = 1) -> Chosen:
    view = door.door.pool.view(member)
    assert view is not None
    return Chosen(Decision(LAUNCH, (Candidate(view, 1.0),), why=why), id, member, attempt)


async def test_what_rules_count_on_is_there_before_anything_happened(members: Pair) -> None:
    """A failure that is the first of its kind must be a step from 0 to 1, not a series that begins."""
    async with Door(*(member.configured() for member in members)) as door:
        text = await door.text("/metrics")
    for name, label, words in (
        ("federation_slo_launches_total", "verdict", ("good", "bad", "not_ours")),
        ("federation_launch_images_total", "source", ("built", "joined", "found")),
        ("federation_audit_changes_total", "what", ("weight", "drained", "ended")),
        ("federation_member_overridden", "what", ("weight", "drained")),
    ):
        found = series(text, name)
        assert set(found.values()) == {0}, name
        for member in ("alpha", "beta"):
            pairs = {tuple(sorted((f'member="{member}"', f'{label}="{word}"'))) for word in words}
            assert {",".join(pair) for pair in pairs} <= set(found), name
    assert series(text, "federation_launch_ready_seconds_count") == {'member="alpha"': 0, 'member="beta"': 0}
    assert series(text, "federation_retries_total") == {'result="made"': 0, 'result="withheld"': 0}
    assert series(text, "federation_waiting_refused_total") == {
        'cause="room_full"': 0,
        'cause="waited_too_long"': 0,
    }
    assert series(text, "federation_workers") == {'state="serving"': 1, 'state="wanted"': 1}
    assert "\nfederation_configuration_refused 0.0" in text


async def test_launches_are_judged_as_the_pages_judge_them(members: Pair) -> None:
    ends = [
        ended(Outcome.READY, "ready"),
        ended(Outcome.READY, "ready", "beta"),
        ended(Outcome.FAILED, "repository"),
        ended(Outcome.FAILED, "refused"),
        ended(Outcome.FAILED, "launch"),
        ended(Outcome.FAILED, "no_member", None),
        ended(Outcome.ABANDONED, "abandoned"),
    ]
    async with Door(*(member.configured() for member in members)) as door:
        for end in ends:
            door.door.tell(end)
        text = await door.text("/metrics")
    judged = series(text, "federation_slo_launches_total")
    assert {labels: count for labels, count in judged.items() if count} == {
        'member="",verdict="bad"': 1,
        'member="alpha",verdict="bad"': 1,
        'member="alpha",verdict="good"': 1,
        'member="alpha",verdict="not_ours"': 3,
        'member="beta",verdict="good"': 1,
    }
    told = summed(ends)
    for verdict, count in (("good", told.good), ("bad", told.bad)):
        assert sum(n for labels, n in judged.items() if f'"{verdict}"' in labels) == count
    assert len(ends) == sum(judged.values()) == told.launches
    assert {judgement(end).value for end in ends} == {"good", "bad", "not_ours"}
    launches = series(text, "federation_launches_total")
    assert launches['cause="no_member",member="",outcome="failed"'] == 1
    assert launches['cause="repository",member="alpha",outcome="failed"'] == 1


async def test_a_launch_that_joins_a_build_is_a_build_saved(members: Pair) -> None:
    alpha, beta = members
    gate = asyncio.Event()

    async def slow_build(request: object, response: object) -> None:
        await plays(BUILDS[0])(request, response)  # type: ignore[arg-type]
        await gate.wait()
        await plays(BUILDS[1], event(**READY), hold=True)(request, response)  # type: ignore[arg-type]

    alpha.play = beta.play = slow_build
    async with Door(alpha.configured(), beta.configured()) as door:
        one = asyncio.create_task(door.launch())
        await until(lambda: alpha.open + beta.open == 1)
        two = asyncio.create_task(door.launch())
        await until(lambda: alpha.open + beta.open == 2)
        gate.set()
        assert {(await launch).last["phase"] for launch in (one, two)} == {"ready"}
        alpha.play = beta.play = SUCCESS
        assert (await door.launch()).last["phase"] == "ready"
        text = await door.text("/metrics")
        images = series(text, "federation_launch_images_total")
        by_source = {
            word: sum(n for labels, n in images.items() if f'source="{word}"' in labels)
            for word in ("built", "joined", "found")
        }
        assert by_source == {"built": 1, "joined": 1, "found": 1}
        decisions = series(text, "federation_decisions_total")
        assert decisions['place="",why="nobody"'] == 0 and sum(decisions.values()) == 3
        assert sum(n for labels, n in decisions.items() if 'why="builder"' in labels) == 1
        assert not door.door.metrics._launches._joined  # nothing is kept of launches that are over


@pytest.mark.parametrize(
    ("why", "word"),
    [
        *((policy.why, "policy") for policy in POLICIES.values()),
        *((policy.why_next, "spilled") for policy in POLICIES.values()),
        (BUILDING, "builder"),
        (HOLDING, "holder"),
        (ASKED, "asked"),
        (LAST_RESORT, "last_resort"),
        (NOBODY, "nobody"),
        ("anything else", "other"),
    ],
)
def test_every_reason_has_a_word_of_its_own(why: str, word: str) -> None:
    for text in (why, f"{why}, as the member asked for cannot take it", f"{why}, {BLIND}"):
        assert why_label(Decision(LAUNCH, (), why=text)) == word


@pytest.mark.parametrize(
    ("scores", "place"),
    [
        ((0.9,), "1"),
        ((0.9, 0.5), "1"),
        ((0.5, 0.9), "2"),
        ((0.1, 0.9, 0.5), "3"),
        ((0.1, 0.2, 0.3, 0.4), "later"),
    ],
)
def test_a_place_is_by_score_alone(scores: tuple[float, ...], place: str, members: Pair) -> None:
    view = MemberView(members[0].configured())
    candidates = tuple(Candidate(view, score) for score in scores)
    assert place_label(Decision(LAUNCH, candidates)) == place


async def test_further_attempts_and_those_that_were_withheld(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        door.door.tell(chosen(door, "this repository's own member"))
        door.door.tell(chosen(door, "the next in this repository's order", attempt=2))
        door.door.tell(ended(Outcome.FAILED, "retry_budget"))
        text = await door.text("/metrics")
    assert series(text, "federation_retries_total") == {'result="made"': 1, 'result="withheld"': 1}
    assert series(text, "federation_redirect_count")['member="alpha",reason="failover"'] == 1


async def test_the_waiting_room_tells_who_waits_how_long_and_who_was_refused(members: Pair) -> None:
    alpha = members[0]
    alpha.told = full()
    rules = WaitingRules(places=1)
    async with Door(alpha.configured(), waiting=rules) as door:
        await until(lambda: door.door.pool.views()[0].seats)
        waits = asyncio.create_task(door.launch())
        await until(lambda: door.door.room.waiting == 1)
        for cause in ("room_full", "room_full", "waited_too_long"):
            door.door.tell(ended(Outcome.FAILED, cause, None))
        await until(lambda: door.door.room.longest > 0.1)
        text = await door.text("/metrics")
        assert "\nfederation_waiting_launches 1.0" in text and "\nfederation_waiting_places 1.0" in text
        assert float(re.findall(r"^federation_waiting_longest_seconds (\S+)", text, re.MULTILINE)[0]) > 0.1
        refused = series(text, "federation_waiting_refused_total")
        assert refused == {'cause="room_full"': 2, 'cause="waited_too_long"': 1}
        alpha.told = full(0)
        assert (await waits).last["phase"] == "ready"
        text = await door.text("/metrics")
        assert series(text, "federation_waited_seconds_count")['outcome="ready"'] == 1


async def test_what_operators_set_and_changed_is_told_without_names_and_reasons(members: Pair) -> None:
    async with Door(*(member.configured() for member in members)) as door:
        steering, now = door.door.steering, door.door.clock.now()
        said = Signature("somebody", "Name of an operator", "a reason", now + 1000)
        await steering.steer("alpha", [Weigh(2.0)], said)
        await steering.steer("alpha", [Weigh(3.0), Drain()], said)
        await steering.steer("beta", [Drain()], replace(said, until=now + 0.3))
        await until(lambda: steering.override("beta") == NOTHING_SET)
        await until(lambda: door.state("beta") is not State.DRAINED)
        text = await door.text("/metrics")
    set_now = {labels for labels, value in series(text, "federation_member_overridden").items() if value}
    assert set_now == {'member="alpha",what="weight"', 'member="alpha",what="drained"'}
    changes = series(text, "federation_audit_changes_total")
    assert {labels: n for labels, n in changes.items() if n} == {
        'member="alpha",what="weight"': 2,
        'member="alpha",what="drained"': 1,
        'member="beta",what="drained"': 1,
        'member="beta",what="ended"': 1,
    }
    assert series(text, "federation_health")['member="alpha",reason="drained"'] == 0
    assert not [word for word in ("somebody", "Name of", "a reason") if word in text]


async def test_incidents_and_limits_are_those_in_force(members: Pair) -> None:
    async with Door(members[0].configured(), prometheus=PrometheusRules(max_age=77.0)) as door:
        door.door.metrics.sights.incidents = lambda: {"blind": 0, "member_out": 2}
        text = await door.text("/metrics")
    assert series(text, "federation_open_incidents") == {'kind="blind"': 0, 'kind="member_out"': 2}
    assert "\nfederation_signal_max_age_seconds 77.0" in text


async def test_a_configuration_that_is_refused_shows_until_the_file_is_good_again(
    members: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "federation.yaml"
    async with Door(members[0].configured()) as door:
        for content, refused in (
            ("members: nonsense", 1),
            ("members: {alpha: {url: http://127.0.0.1:1}}", 0),
        ):
            file.write_text(content)
            door.door.reload(file)
            assert f"\nfederation_configuration_refused {refused}.0" in await door.text("/metrics")
        file.write_text("members: nonsense")
        door.door.reload(file)
        file.write_text("members: {alpha: {url: http://127.0.0.1:1}}")  # back to what is in force
        door.door.reload(file)
        text = await door.text("/metrics")
    assert "\nfederation_configuration_refused 0.0" in text
    assert series(text, "federation_configurations_total") == {'result="accepted"': 1, 'result="refused"': 2}


async def test_a_redirected_launch_is_counted_and_not_judged(members: Pair) -> None:
    async with Door(members[0].configured(), launch=LaunchRules(mode=Mode.REDIRECT)) as door:
        facts: list[object] = []
        door.door.subscribe(facts.append)
        await door.launch(SPEC)
        text = await door.text("/metrics")
    assert any(isinstance(fact, Redirected) for fact in facts)
    assert series(text, "federation_launches_total") == {
        'cause="redirected",member="alpha",outcome="redirected"': 1
    }
    assert not any(series(text, "federation_slo_launches_total").values())


async def test_no_label_is_a_visitors(members: Pair) -> None:
    async with Door(*(member.configured() for member in members)) as door:
        await door.launch(
            "/build/gh/secret-user/secret-repo/secret-ref?urlpath=secret-path&member=secret-member"
        )
        await door.launch("/build/secret-provider/x/y")
        await door.ask("/secret-page")
        assert "secret" not in await door.text("/metrics")
