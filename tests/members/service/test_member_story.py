"""What is told of a launch as a whole: the launch event log's one fact, for every way in which it can end."""

from dataclasses import replace

from member_fakes import SHA, SPEC, Listener, until
from pytest import mark
from test_member_pipeline import REQUEST, Stage, make_stage

from members.core.facts import StoryEnded
from members.core.model import BuildBroken, BuildFailed, LaunchFailed, ResolveError, SpecError, Visit
from members.core.quota import Quota
from members.service.pipeline import Source

VISIT = Visit(build_token=True, origin="front.example", request_origin="https://site.example")
ASKED = replace(REQUEST, visit=VISIT)


def stories(told: Listener) -> list[object]:
    return told.of(StoryEnded)


async def ended(stage: Stage) -> None:
    await stage.builds.close()
    await stage.sessions.close()


async def test_a_success_is_told_once_with_provider_name_spec_ref_and_visit() -> None:
    stage = make_stage()
    await stage.events(ASKED)
    assert stories(stage.told) == [StoryEnded("Git", SPEC, SHA, "success", VISIT)]
    await ended(stage)


@mark.parametrize(
    ("fault", "ref"),
    [
        ("unknown ref", ""),
        ("bad spec", ""),
        ("lookup", ""),
        ("build", SHA),
        ("builder", SHA),
        ("hub", SHA),
        ("quota", SHA),
        ("own fault", SHA),
    ],
)
async def test_every_failure_is_told_once(fault: str, ref: str) -> None:
    stage = make_stage(Quota(0) if fault == "quota" else Quota())
    match fault:
        case "unknown ref":
            stage.provider.answers = {}
        case "bad spec":
            stage.provider.answers = {SPEC: SpecError("no")}
        case "lookup":
            stage.provider.answers = {SPEC: ResolveError("no")}
        case "build":
            stage.builder.error = BuildFailed("no")
        case "builder":
            stage.builder.error = BuildBroken("no")
        case "hub":
            stage.hub.errors = [LaunchFailed("no")] * 3
        case "own fault":
            stage.hub.create_error = RuntimeError("no")
    try:
        await stage.events(ASKED)
    except RuntimeError:
        assert fault == "own fault"
    assert stories(stage.told) == [StoryEnded("Git", SPEC, ref, "failure", VISIT)]
    await ended(stage)


async def test_a_banned_spec_is_a_failure_of_a_known_provider() -> None:
    stage = make_stage()
    source = Source(stage.provider, banned_specs=(".*",))
    stage.pipeline._sources = {"git": source}  # type: ignore[assignment]
    await stage.events(ASKED)
    assert stories(stage.told) == [StoryEnded("Git", SPEC, "", "failure", VISIT)]
    await ended(stage)


async def test_what_is_no_launch_of_a_known_provider_is_not_told() -> None:
    stage = make_stage()
    await stage.events(replace(ASKED, provider="nosuch"))
    await stage.events(replace(ASKED, build_only=True))
    assert stories(stage.told) == []
    await ended(stage)


async def test_a_launch_that_is_left_half_way_is_abandoned() -> None:
    stage = make_stage()
    stage.builder.gate.clear()
    events = stage.pipeline.run(ASKED)
    await anext(events)
    await events.aclose()  # type: ignore[attr-defined]
    await until(lambda: stories(stage.told))
    assert stories(stage.told) == [StoryEnded("Git", SPEC, SHA, "abandoned", VISIT)]
    stage.builder.gate.set()
    await ended(stage)


async def test_a_renamed_branch_is_told_as_what_it_became() -> None:
    stage = make_stage()
    stage.provider.head_fallback = True
    answer = stage.provider.answers[SPEC]
    stage.provider.answers = {"user/repo/HEAD": answer}
    await stage.events(replace(ASKED, spec="user/repo/master"))
    assert stories(stage.told) == [StoryEnded("Git", "user/repo/HEAD", SHA, "success", VISIT)]
    await ended(stage)
