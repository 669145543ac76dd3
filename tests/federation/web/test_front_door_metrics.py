"""What `/metrics` and `/federation/v1/members` tell of shares, seats, evidence and blindness."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from door_stage import WELL, Door, StockMember, series
from pytest import approx
from test_front_door_api import full

from federation.core.facts import AttemptEnded, BlindnessChanged, LaunchEnded, Outcome, Overdue, PhaseEnded
from federation.core.launchkey import parse_spec
from federation.core.model import Member, MemberView, Operation, Signal, Tally

Pair = tuple[StockMember, StockMember]
LAUNCH = parse_spec("gh/u/r/HEAD")
DEAD = Member("dead", "http://127.0.0.1:1", 5.0)


def showing(door: Door, name: str, **more: Any) -> None:
    """Makes the pool show a member otherwise, as its evidence and signals will."""

    def changed(view: MemberView) -> MemberView:
        return replace(view, **more) if view.member.name == name else view

    views = tuple(changed(view) for view in door.door.pool.views())
    door.door.pool.views = lambda: views  # type: ignore[method-assign]


async def test_shares_by_weight_and_as_they_came(members: Pair) -> None:
    alpha, beta = members
    async with Door(alpha.configured(3.0), beta.configured(1.0), DEAD) as door:
        text = await door.text("/metrics")
        due = series(text, "federation_member_expected_share")
        assert due == {'member="alpha"': 0.75, 'member="beta"': 0.25, 'member="dead"': 0}
        assert series(text, "federation_member_actual_share") == {}
        assert series(text, "federation_member_effective_weight")['member="dead"'] == 0
        for member in ("alpha", "beta", "beta"):
            await door.launch(f"/build/gh/u/r/HEAD?member={member}")
        came = series(await door.text("/metrics"), "federation_member_actual_share")
        assert came == {'member="alpha"': approx(1 / 3), 'member="beta"': approx(2 / 3), 'member="dead"': 0}
        told = (await door.json("/federation/v1/members"))["members"]
        assert [one["share"]["expected"] for one in told] == [0.75, 0.25, 0]
        assert [one["share"]["actual"] for one in told] == [approx(1 / 3), approx(2 / 3), 0]


async def test_seats_and_what_is_lost_and_how_old_it_all_is(members: Pair) -> None:
    alpha, beta = members
    alpha.told = full(4)
    beta.told = WELL
    async with Door(alpha.configured(), beta.configured()) as door:
        text = await door.text("/metrics")
        assert series(text, "federation_member_capacity") == {'member="alpha"': 10}
        assert series(text, "federation_member_seats_free") == {'member="alpha"': 6}
        ages = series(text, "federation_member_signal_age_seconds")
        assert set(ages) == {'member="alpha",signal="probe"', 'member="beta",signal="probe"'}
        at = door.door.clock.now() - 60
        showing(
            door,
            "alpha",
            signals={"builds": Signal(3.0, at)},
            lost=frozenset({Operation.BUILD}),
            tally=Tally(8, 2),
            weight=0.5,
        )
        text = await door.text("/metrics")
        ages = series(text, "federation_member_signal_age_seconds")
        assert 60 <= ages['member="alpha",signal="builds"'] < 90
        lost = series(text, "federation_member_operation_lost")
        assert {labels for labels, value in lost.items() if value} == {'member="alpha",operation="build"'}
        assert len(lost) == 4
        told = (await door.json("/federation/v1/members"))["members"][0]
        assert told["tally"] == {"good": 8, "bad": 2} and told["lost"] == ["build"] and told["load"] == 4
        assert told["signals"]["builds"]["value"] == 3.0 and 60 <= told["signals"]["builds"]["age"] < 90
        assert told["signals"]["probe"]["checks"] and told["effective_weight"] == 0.5


async def test_blindness_is_one_while_it_lasts(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        assert "\nfederation_blind 0.0" in await door.text("/metrics")
        door.door.tell(BlindnessChanged(5.0, "all failed at once"))
        assert "\nfederation_blind 1.0" in await door.text("/metrics")
        door.door.tell(BlindnessChanged(None, "seen again"))
        text = await door.text("/metrics")
        assert "\nfederation_blind 0.0" in text and "\nfederation_waiting_launches 0.0" in text


async def test_overdue_phases_and_waiting_are_counted_under_known_words_only(members: Pair) -> None:
    async with Door(members[0].configured()) as door:
        for phase in ("launching", "launching", "any word of a member"):
            door.door.tell(Overdue(LAUNCH, 1, "alpha", 1, phase, 30.0))
            door.door.tell(PhaseEnded("alpha", phase, 2.0))
        for waited in (0.0, 20.0):
            door.door.tell(LaunchEnded(LAUNCH, 1, Outcome.READY, "alpha", 1, "ready", 30.0, waited))
        door.door.tell(AttemptEnded(LAUNCH, 1, "alpha", 1, Outcome.LOST, "quota", "full", 1.0))
        text = await door.text("/metrics")
        assert series(text, "federation_overdue_total") == {
            'member="alpha",phase="launching"': 2,
            'member="alpha",phase="other"': 1,
        }
        assert series(text, "federation_phase_seconds_count")['member="alpha",phase="launching"'] == 2
        waited = series(text, "federation_waited_seconds_count")
        assert waited == {'outcome="ready"': 1, 'outcome="failed"': 0}
        attempts = series(text, "federation_attempts_total")
        assert attempts == {'cause="quota",member="alpha",outcome="lost"': 1}
        assert "any word" not in text
        door.reconfigure([members[1].configured()])
        assert "alpha" not in await door.text("/metrics")
