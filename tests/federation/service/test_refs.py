from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from door_stage import until

from federation.core.facts import Fact, LoopFailed
from federation.core.launchkey import parse_launch
from federation.core.model import Launch
from federation.service.joining import Joining
from federation.service.refs import LIFETIME, MOST_PENDING, UNKNOWN, Refs

COMMIT, LATER = "a" * 40, "b" * 40
HEAD, MAIN, SHA = (parse_launch(f"/build/gh/o/r/{ref}") for ref in ("HEAD", "main", COMMIT))
ELSE = parse_launch(f"/build/gh/o/r/{LATER}")
DOI = parse_launch("/build/zenodo/10.5281/zenodo.3242074")
PATIENCE = 30.0  # seconds: longer than any test waits


class Source:
    """Answers `answer` once it may go."""

    def __init__(self) -> None:
        self.answer: str | None = COMMIT
        self.fault: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.asked: list[str] = []
        self.running = self.most = 0

    async def resolve(self, url: str, names: Sequence[str]) -> str | None:
        self.asked.append(names[0])
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
        finally:
            self.running -= 1
        if self.fault is not None:
            raise self.fault
        return self.answer


class Stage:
    def __init__(self, time_limit: float = PATIENCE) -> None:
        self.time = 0.0
        self.source = Source()
        self.facts: list[Fact] = []
        self.refs = Refs(
            self.source,
            self.facts.append,
            now=lambda: self.time,
            at_once=2,
            time_limit=time_limit,
            most_kept=100,
        )


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    async with made.refs:
        yield made


def branch(number: int) -> Launch:
    return parse_launch(f"/build/gh/o/r/branch{number}")


def built(commit: str) -> dict[str, object]:
    return {"phase": "built", "imageName": f"i:{commit}"}


async def test_a_ref_is_known_for_a_while_once_it_was_resolved(stage: Stage) -> None:
    assert stage.refs.known(HEAD) is None
    assert await stage.refs.resolved(HEAD, PATIENCE) == COMMIT
    assert stage.refs.known(HEAD) == COMMIT
    assert stage.refs.known(MAIN) is None
    stage.time = LIFETIME - 1
    assert stage.refs.known(HEAD) == COMMIT
    stage.time = LIFETIME
    assert stage.refs.known(HEAD) is None


async def test_a_commit_is_known_as_it_stands_and_what_git_cannot_tell_is_not_asked(stage: Stage) -> None:
    assert stage.refs.known(SHA) == COMMIT
    assert await stage.refs.resolved(SHA, PATIENCE) == COMMIT
    assert await stage.refs.resolved(DOI, PATIENCE) is None
    assert stage.source.asked == []


async def test_many_who_ask_at_once_are_one_question(stage: Stage) -> None:
    other_spelling = parse_launch("/build/gh/O/R.git/HEAD/", "urlpath=lab")
    stage.source.go.clear()
    for _ in range(100):
        stage.refs.resolve_soon(HEAD)
    waiting = asyncio.create_task(stage.refs.resolved(other_spelling, PATIENCE))
    await until(lambda: stage.source.running == 1)
    stage.source.go.set()
    assert await waiting == COMMIT
    assert stage.source.asked == ["HEAD"]


async def test_few_questions_run_at_once_and_not_many_wait(stage: Stage) -> None:
    stage.source.go.clear()
    for number in range(2 * MOST_PENDING):
        stage.refs.resolve_soon(branch(number))
    await until(lambda: stage.source.running == 2)
    stage.source.go.set()
    await until(lambda: stage.refs.known(branch(MOST_PENDING - 1)) == COMMIT)
    assert stage.source.most == 2
    assert len(stage.source.asked) == MOST_PENDING


async def test_who_waits_waits_no_longer_than_asked_and_ends_no_question(stage: Stage) -> None:
    stage.source.go.clear()
    assert await stage.refs.resolved(HEAD, 0.01) is None
    waiting = asyncio.create_task(stage.refs.resolved(HEAD, PATIENCE))
    await until(lambda: stage.source.running == 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    stage.source.go.set()
    await until(lambda: stage.refs.known(HEAD) == COMMIT)
    assert stage.source.asked == ["HEAD"]


async def test_what_was_not_found_is_asked_again_only_after_a_while(stage: Stage) -> None:
    stage.source.answer = None
    assert await stage.refs.resolved(HEAD, PATIENCE) is None
    stage.source.answer = COMMIT
    assert await stage.refs.resolved(HEAD, PATIENCE) is None
    assert stage.source.asked == ["HEAD"]
    stage.time = UNKNOWN
    assert await stage.refs.resolved(HEAD, PATIENCE) == COMMIT


async def test_a_ref_in_use_is_asked_anew_before_it_is_forgotten_and_kept_if_that_fails(stage: Stage) -> None:
    await stage.refs.resolved(HEAD, PATIENCE)
    stage.time = LIFETIME / 2 - 1
    stage.refs.resolve_soon(HEAD)
    await asyncio.sleep(0)
    assert stage.source.asked == ["HEAD"]
    stage.time = LIFETIME / 2
    stage.source.answer = None
    stage.refs.resolve_soon(HEAD)
    await until(lambda: len(stage.source.asked) == 2 and stage.source.running == 0)
    assert stage.refs.known(HEAD) == COMMIT
    stage.source.answer = LATER
    stage.refs.resolve_soon(HEAD)
    await until(lambda: stage.refs.known(HEAD) == LATER)


async def test_a_question_without_an_answer_in_time_is_ended() -> None:
    stage = Stage(time_limit=0.05)
    stage.source.go.clear()
    async with stage.refs as refs:
        assert await refs.resolved(HEAD, PATIENCE) is None
        assert stage.source.running == 0
        refs.resolve_soon(HEAD)
        await asyncio.sleep(0)
        assert stage.source.asked == ["HEAD"]
    assert stage.facts == []


async def test_a_fault_of_the_source_is_told_and_means_not_known(stage: Stage) -> None:
    stage.source.fault = RuntimeError("ours")
    assert await stage.refs.resolved(HEAD, PATIENCE) is None
    assert [fact.where for fact in stage.facts if isinstance(fact, LoopFailed)] == ["resolution of a ref"]


async def test_members_teach_what_is_not_known_and_overrule_nothing(stage: Stage) -> None:
    learned: list[tuple[Launch, str]] = []
    stage.refs.subscribe(lambda launch, commit: learned.append((launch, commit)))
    stage.refs.learn(HEAD, {"phase": "building", "message": "…"})
    assert stage.refs.known(HEAD) is None
    stage.refs.learn(HEAD, built(COMMIT))
    assert stage.refs.known(HEAD) == COMMIT
    stage.refs.learn(HEAD, built(LATER))
    stage.refs.learn(SHA, built(LATER))
    assert (stage.refs.known(HEAD), stage.refs.known(SHA)) == (COMMIT, COMMIT)
    assert learned == [(HEAD, COMMIT)]
    assert stage.source.asked == []


async def test_what_was_not_found_can_still_be_learned(stage: Stage) -> None:
    stage.source.answer = None
    await stage.refs.resolved(HEAD, PATIENCE)
    stage.refs.learn(HEAD, built(COMMIT))
    assert stage.refs.known(HEAD) == COMMIT


async def test_what_is_used_least_makes_room(stage: Stage) -> None:
    stage.refs.learn(HEAD, built(COMMIT))
    for number in range(99):
        stage.refs.learn(branch(number), built(COMMIT))
    assert stage.refs.known(HEAD) == COMMIT
    stage.refs.learn(branch(99), built(COMMIT))
    assert stage.refs.known(HEAD) == COMMIT
    assert stage.refs.known(branch(0)) is None


async def test_no_question_outlives_the_block() -> None:
    stage = Stage()
    stage.source.go.clear()
    async with stage.refs as refs:
        for number in range(5):
            refs.resolve_soon(branch(number))
        await until(lambda: stage.source.running == 2)
    assert stage.source.running == 0
    refs.resolve_soon(HEAD)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "resolution of a ref"]


async def test_launches_under_way_are_joined_once_their_ref_is_resolved(stage: Stage) -> None:
    joining = Joining(stage.refs.known)
    stage.refs.subscribe(joining.learned)
    with joining.under_way(HEAD, "a"):
        assert joining.members(ELSE) == ("a",)  # it may be what HEAD means
        await stage.refs.resolved(HEAD, PATIENCE)
        await stage.refs.resolved(MAIN, PATIENCE)
        assert joining.members(ELSE) == ()
        assert [joining.members(spelled) for spelled in (HEAD, MAIN, SHA)] == [("a",)] * 3
