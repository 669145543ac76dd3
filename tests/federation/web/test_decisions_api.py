"""For any past launch and any member, one question says why or why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from door_stage import FAST, SPEC, Door, StockMember, event, plays, until

from federation.core.model import Member, State
from federation.core.rules import DecisionRules, LaunchRules, Mode, WaitingRules

Pair = tuple[StockMember, StockMember]
DECISIONS = "/federation/v1/decisions"
EXPLAIN = "/federation/v1/explain"
FULL = plays(event(phase="failed", message="Too many users on this BinderHub! Try again soon.\n"))
NO_SUCH_REF = plays(event(phase="failed", message="No such ref: nope\n", status_code=404))
DEAD = Member("dead", "http://127.0.0.1:1", 1.0)


async def past(door: Door, query: str = "") -> list[dict[str, Any]]:
    told = await door.json(f"{DECISIONS}{query}")
    return list(told["decisions"])


async def why(door: Door, id: int, member: str) -> str:
    """The one question: why did this launch not go there?"""
    (record,) = await past(door, f"?id={id}&member={member}")
    return str(record["asked"]["why"])


async def test_for_any_past_launch_and_any_member_one_question_says_why_not(members: Pair) -> None:
    alpha, beta = members
    off = Member("off", "http://127.0.0.1:1", 0.0)
    async with Door(alpha.configured(1e9), beta.configured(1e-9), DEAD, off) as door:
        assert (await door.launch()).takers == ["alpha"]
        alpha.play = FULL
        assert (await door.launch()).takers == ["alpha", "beta"]
        beta.play = NO_SUCH_REF
        assert (await door.launch(f"{SPEC}?member=beta")).last["phase"] == "failed"
        third, second, first = await past(door)

        own = "this repository's own member"
        assert await why(door, first["id"], "alpha") == (
            f"alpha was chosen: {own}; there it ended as ready: ready."
        )
        behind = "number 2 of 2 in the order, behind alpha"
        assert await why(door, first["id"], "beta") == f"beta was not chosen: {behind} ({own})."
        for record in (first, second, third):
            assert "dead was not chosen: ejected: refused the connection." in await why(
                door, record["id"], "dead"
            )
            assert "off was not chosen: weight 0." in await why(door, record["id"], "off")
            assert "no member of this name" in await why(door, record["id"], "nobody")
        lost = await why(door, second["id"], "alpha")
        assert "there it ended as lost: Too many users" in lost and "not chosen: full: 0 of 0 seats" in lost
        assert "asked for by ?member=" in await why(door, third["id"], "beta")

        outcomes = [(record["outcome"], record["member"]) for record in (first, second, third)]
        assert outcomes == [("ready", "alpha"), ("ready", "beta"), ("failed", "beta")]
        assert [attempt["ended"]["cause"] for attempt in second["attempts"]] == ["quota", "ready"]
        assert [one["name"] for one in first["attempts"][0]["candidates"]] == ["alpha", "beta"]


@pytest.mark.parametrize("mode", [Mode.RELAY, Mode.REDIRECT])
async def test_a_launch_that_nobody_took_says_of_each_member_why(mode: Mode) -> None:
    off = Member("off", "http://127.0.0.1:1", 0.0)
    async with Door(DEAD, off, launch=LaunchRules(mode=mode), waiting=WaitingRules(places=0)) as door:
        await door.launch()
        (record,) = await past(door)
        assert (record["outcome"], record["cause"], record["member"]) == ("failed", "no_member", None)
        assert (
            await why(door, record["id"], "dead") == "dead was not chosen: ejected: refused the connection."
        )
        assert await why(door, record["id"], "off") == "off was not chosen: weight 0."


async def test_a_redirected_launch_is_explained_too(members: Pair) -> None:
    alpha, beta = members
    rules = LaunchRules(mode=Mode.REDIRECT)
    async with Door(alpha.configured(1e9), beta.configured(1e-9), DEAD, launch=rules) as door:
        async with door.ask(SPEC) as answer:
            assert answer.status == 307
        (record,) = await past(door)
        assert (record["outcome"], record["member"]) == ("redirected", "alpha")
        assert "behind alpha" in await why(door, record["id"], "beta")
        assert "refused the connection" in await why(door, record["id"], "dead")


async def test_a_launch_under_way_can_be_asked_about(members: Pair) -> None:
    alpha, _ = members
    alpha.play = plays(event(phase="building", message="on and on\n"), hold=True)
    async with Door(alpha.configured()) as door, door.ask(SPEC, headers={"Accept": "text/event-stream"}):
        await until(lambda: alpha.open)
        (record,) = await past(door, "?outcome=under_way")
        assert record["attempts"][0]["ended"] is None and record["seconds"] is None
        assert "was chosen" in await why(door, record["id"], "alpha")


async def test_questions_narrow_by_repository_member_and_outcome_and_go_on(members: Pair) -> None:
    async with Door(*(member.configured() for member in members), launch=FAST) as door:
        for path in ("gh/u/one/HEAD", "gh/u/two/HEAD", "gh/U/One/v2"):
            for member in ("alpha", "beta"):
                await door.launch(f"/build/{path}?member={member}")
        assert len(await past(door, "?spec=gh/u/one")) == 4
        assert [one["spec"] for one in await past(door, "?spec=gh/u/two/HEAD&member=beta")] == ["u/two/HEAD"]
        assert len(await past(door, "?outcome=ready")) == 6 and await past(door, "?outcome=failed") == []
        seen, query = [], ""
        while True:
            told = await door.json(f"{DECISIONS}?limit=4{query}")
            seen += [one["id"] for one in told["decisions"]]
            if told["next"] is None:
                break
            query = f"&before={told['next']}"
        assert seen == sorted(seen, reverse=True) and len(seen) == 6


async def test_only_the_last_launches_are_remembered(members: Pair) -> None:
    async with Door(members[0].configured(), decisions=DecisionRules(keep=2)) as door:
        for _ in range(3):
            await door.launch()
        last, before = await past(door)
        assert last["id"] == before["id"] + 1
        async with door.ask(f"{DECISIONS}?id={before['id'] - 1}") as answer:
            assert answer.status == 404 and "the last 2" in (await answer.json())["message"]


@pytest.mark.parametrize(
    ("query", "key", "expected"),
    [
        ("limit=0", "limit", "a whole number from 1 to 200"),
        ("limit=many", "limit", "a whole number from 1 to 200"),
        ("limit=%C2%B2", "limit", "a whole number from 1 to 200"),
        ("before=-1", "before", "a whole number from 1 to 9007199254740992"),
        (f"id={'9' * 5000}", "id", "a whole number from 1 to 9007199254740992"),
        ("outcome=lost", "outcome", "one of ready, failed, abandoned, redirected, under_way"),
        ("mebmer=alpha", "mebmer", "one of the parameters id, spec, member, outcome, before, limit"),
    ],
)
async def test_a_bad_parameter_is_named_with_its_value_and_what_was_expected(
    members: Pair, query: str, key: str, expected: str
) -> None:
    async with Door(members[0].configured()) as door, door.ask(f"{DECISIONS}?{query}") as answer:
        told = await answer.json()
        assert answer.status == 400
        assert (told["key"], told["expected"]) == (key, expected)
        assert told["value"] and key in told["message"] and expected in told["message"]


@pytest.mark.parametrize(
    ("query", "key"), [("spec=nope", "spec"), ("", "spec"), ("spec=gh/a/b/c&member=x", "member")]
)
async def test_explain_names_what_is_wrong_too(members: Pair, query: str, key: str) -> None:
    async with Door(members[0].configured()) as door, door.ask(f"{EXPLAIN}?{query}") as answer:
        told = await answer.json()
        assert answer.status == 400 and told["key"] == key and told["expected"] and told["message"]


async def test_explain_answers_for_one_member_with_the_figures_of_all(members: Pair) -> None:
    alpha, beta = members
    async with Door(alpha.configured(1e9, seats=5), beta.configured(1e-9), DEAD) as door:
        told = await door.json(f"{EXPLAIN}?spec=gh/u/r/HEAD&member=beta")
        assert [one["name"] for one in told["candidates"]] == ["alpha", "beta"]
        first = told["candidates"][0]
        assert (first["effective_weight"], first["load"], first["capacity"], first["free"]) == (1e9, 0, 5, 5)
        assert first["tally"] == {"good": 0, "bad": 0} and first["signals"] == {}
        assert told["asked"]["why"] == (
            "beta is not chosen: number 2 of 2 in the order, behind alpha (this repository's own member)."
            " With ?member=beta it is."
        )
        told = await door.json(f"{EXPLAIN}?spec=gh/u/r/HEAD&member=dead")
        assert told["asked"]["why"] == "dead is not chosen: ejected: refused the connection."
        assert await past(door) == [] and not alpha.requests


async def test_the_same_is_written_to_the_configured_file(members: Pair, tmp_path: Path) -> None:
    alpha, beta = members
    path = tmp_path / "decisions.jsonl"
    rules = DecisionRules(keep=0, file=str(path))
    async with Door(alpha.configured(1e9), beta.configured(1e-9), decisions=rules) as door:
        alpha.play = FULL
        await door.launch()
        assert await past(door) == []
    (line,) = path.read_text().splitlines()
    told = json.loads(line)
    assert [attempt["member"] for attempt in told["attempts"]] == ["alpha", "beta"]
    assert told["outcome"] == "ready"


async def test_a_file_that_cannot_be_written_harms_no_launch(members: Pair, tmp_path: Path) -> None:
    rules = DecisionRules(file=str(tmp_path / "no" / "such" / "folder"))
    async with Door(members[0].configured(), decisions=rules) as door:
        for _ in range(2):
            assert (await door.launch()).last["phase"] == "ready"
        assert door.state("alpha") is State.HEALTHY

        async def told() -> bool:
            return 'federation_loop_faults_total{where="decision log"} 1.0' in await door.text("/metrics")

        for _ in range(100):
            if await told():
                break
        assert await told()
