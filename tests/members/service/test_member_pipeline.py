import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from member_fakes import (
    IMAGE,
    REPO,
    SHA,
    SPEC,
    FakeBuilder,
    FakeHub,
    FakeProvider,
    FakeStore,
    Listener,
    resolved,
    until,
)
from pytest import fixture, mark

from members.core.facts import ImageFetched, LaunchEnded, LaunchRetried, QuotaHit
from members.core.model import (
    BuildBroken,
    BuildFailed,
    LaunchFailed,
    LaunchRequest,
    ResolveError,
    SessionRequest,
    SpecError,
)
from members.core.phases import Event, event_of
from members.core.quota import Quota
from members.service.builds import Builds
from members.service.launch import Launcher
from members.service.pipeline import Pipeline, Source
from members.service.sessions import Sessions

REQUEST = LaunchRequest("git", SPEC, "203.0.113.9", "http://127.0.0.1:8080/")


@dataclass
class Stage:
    """A pipeline with everything around it faked."""

    provider: FakeProvider
    store: FakeStore
    builder: FakeBuilder
    hub: FakeHub
    told: Listener
    builds: Builds
    sessions: Sessions
    pipeline: Pipeline

    async def events(self, request: LaunchRequest = REQUEST) -> list[Event]:
        return [event_of(event) async for event in self.pipeline.run(request)]

    async def last(self, request: LaunchRequest = REQUEST) -> Event:
        return (await self.events(request))[-1]


def make_stage(quota: Quota = Quota(), source: Source | None = None) -> Stage:  # noqa: B008
    provider, store, hub, told = FakeProvider(), FakeStore(), FakeHub(), Listener()
    builder = FakeBuilder(store)
    builds = Builds(builder, store, told, concurrent=2, timeout=30, log_limit=10**6)
    sessions = Sessions(hub, quota, told)
    launcher = Launcher(store, hub, sessions, told, attempts=3, retry_delay=0.001)
    pipeline = Pipeline(
        {"git": source or Source(provider)},
        store,
        builds,
        sessions,
        launcher,
        told,
        image_prefix="",
        new_token=lambda: "T" * 22,
        fallback_pause=0.001,
    )
    return Stage(provider, store, builder, hub, told, builds, sessions, pipeline)


@fixture
async def stage() -> AsyncIterator[Stage]:
    made = make_stage()
    yield made
    await made.builds.close()
    await made.sessions.close()


async def test_a_first_launch_tells_the_whole_story(stage: Stage) -> None:
    events = await stage.events()
    assert events == [
        {"phase": "waiting", "message": "Waiting for build to start...\n"},
        {"message": "one\n", "phase": "building"},
        {"message": "two\n", "phase": "building"},
        {"message": "three\n", "phase": "building"},
        {"phase": "built", "message": "Built image, launching...\n", "imageName": IMAGE},
        {"phase": "launching", "message": "Launching server...\n"},
        {"phase": "launching", "message": "Server requested\n"},
        {"phase": "launching", "message": "Server ready at /user/req-0/\n"},
        {
            "phase": "ready",
            "message": "server running at http://127.0.0.1:8000/user/req-0/\n",
            "image": IMAGE,
            "repo_url": REPO,
            "token": "T" * 22,
            "binder_ref_url": REPO,
            "binder_launch_host": "http://127.0.0.1:8080/",
            "binder_request": f"v2/git/{SPEC}",
            "binder_persistent_request": f"v2/git/git%3A%2F%2F127.0.0.1%3A9418%2Freq.git/{SHA}",
            "binder_client_ip": "203.0.113.9",
            "url": "http://127.0.0.1:8000/user/req-0/",
        },
    ]
    assert not stage.hub.created[0].removed


async def test_a_known_image_is_fetched_and_not_built(stage: Stage) -> None:
    stage.store.images.add(IMAGE)
    stage.store.fetch_lines = ["Fetching the image\n"]
    events = await stage.events()
    assert [event["message"] for event in events[:3]] == [
        "Found built image, launching...\n",
        "Launching server...\n",
        "Fetching the image\n",
    ]
    assert list(events[0]) == ["phase", "imageName", "message"]
    assert stage.builder.begun == []
    assert len(stage.told.of(ImageFetched)) == 1


async def test_twenty_launches_make_one_build(stage: Stage) -> None:
    stories = await asyncio.gather(*(stage.events() for _ in range(20)))
    assert stage.builder.begun == [IMAGE]
    assert all(story[-1]["phase"] == "ready" for story in stories)
    assert all([e["message"] for e in story[1:4]] == ["one\n", "two\n", "three\n"] for story in stories)


async def test_build_only_ends_without_a_server(stage: Stage) -> None:
    request = replace(REQUEST, build_only=True)
    assert await stage.last(request) == {
        "phase": "ready",
        "imageName": IMAGE,
        "message": "Done! Image built\n",
    }
    assert await stage.events(request) == [
        {"phase": "ready", "imageName": IMAGE, "message": "Done! Found built image\n"}
    ]
    assert stage.hub.created == []


@mark.parametrize(
    ("answer", "event"),
    [
        (
            None,
            {
                "phase": "failed",
                "message": f"Could not resolve ref for git:{SPEC}. "
                "Double check your URL and that your repo is public.\n",
            },
        ),
        (
            ResolveError("host down"),
            {"phase": "failed", "message": f"Error resolving ref for git:{SPEC}: host down\n"},
        ),
        (SpecError("'x' is wrong."), {"phase": "failed", "status_code": 400, "message": "'x' is wrong.\n"}),
    ],
)
async def test_a_ref_that_does_not_resolve(stage: Stage, answer: Exception | None, event: Event) -> None:
    stage.provider.answers[SPEC] = answer
    assert await stage.events() == [event]


async def test_an_unknown_provider(stage: Stage) -> None:
    assert await stage.events(replace(REQUEST, provider="nope")) == [
        {"phase": "failed", "message": "No provider found for prefix nope\n"}
    ]


async def test_a_banned_repository_is_banned_by_its_other_names_too() -> None:
    """As `user/repo.git`, which a provider takes for `user/repo`."""
    provider = FakeProvider()
    provider.answers["alias/main"] = resolved()
    stage = make_stage(source=Source(provider, banned_specs=("git%3A",)))
    events = await stage.events(replace(REQUEST, spec="alias/main"))
    assert [event["phase"] for event in events] == ["failed"]
    assert "alias/main is not allowed to launch" in str(events[0]["message"])
    assert stage.builder.begun == []


async def test_a_banned_spec_is_not_even_looked_up() -> None:
    provider = FakeProvider()
    stage = make_stage(source=Source(provider, banned_specs=("git%3A",)))
    assert await stage.events() == [
        {
            "phase": "failed",
            "message": f"Sorry, {SPEC} is not allowed to launch. Please contact admins for more info!",
        }
    ]
    assert provider.asked == []


@mark.parametrize("branch", ["master", "main"])
async def test_a_renamed_default_branch_falls_back_to_head(branch: str) -> None:
    provider = FakeProvider(id="git", head_fallback=True)
    provider.answers = {"user/repo/HEAD": resolved(spec="user/repo/HEAD")}
    stage = make_stage(source=Source(provider))
    events = await stage.events(replace(REQUEST, spec=f"user/repo/{branch}"))
    assert provider.asked == [f"user/repo/{branch}", "user/repo/HEAD"]
    assert events[0]["phase"] == "waiting"
    assert branch in str(events[0]["message"])
    assert events[-1]["binder_request"] == "v2/git/user/repo/HEAD"


async def test_other_branches_and_providers_do_not_fall_back(stage: Stage) -> None:
    stage.provider.answers = {}
    assert len(await stage.events(replace(REQUEST, spec="user/repo/main"))) == 1
    provider = FakeProvider(head_fallback=True)
    provider.answers = {}
    other = make_stage(source=Source(provider))
    assert len(await other.events(replace(REQUEST, spec="user/repo/feature/main"))) == 1
    assert len(await other.events(replace(REQUEST, spec="user/repo/dev"))) == 1
    assert provider.asked == ["user/repo/feature/main", "user/repo/dev"]


async def test_a_build_error_is_shaped_as_repo2dockers_last_line(stage: Stage) -> None:
    stage.builder.error = BuildFailed("requirements.txt: no package named nosuch")
    event = await stage.last()
    assert event == {"message": "requirements.txt: no package named nosuch\n", "phase": "failed"}
    assert list(event) == ["message", "phase"]


async def test_a_broken_builder_is_this_members_fault(stage: Stage) -> None:
    stage.builder.error = BuildBroken("The disk is full.")
    assert await stage.last() == {"phase": "failed", "status_code": 500, "message": "The disk is full.\n"}


async def test_a_failing_launch_is_tried_again_with_a_new_user(stage: Stage) -> None:
    stage.hub.errors = [LaunchFailed("spawn failed"), None]
    events = await stage.events()
    assert events[-1]["phase"] == "ready"
    assert {"phase": "launching", "message": "Launch attempt 1 failed, retrying...\n"} in events
    await stage.sessions.close()
    assert [session.removed for session in stage.hub.created] == [True, False]
    (retried,) = stage.told.of(LaunchRetried)
    assert isinstance(retried, LaunchRetried)
    assert retried.attempt == 0
    (ended,) = stage.told.of(LaunchEnded)
    assert isinstance(ended, LaunchEnded)
    assert (ended.status, ended.attempt) == ("success", 1)


async def test_the_last_attempts_error_ends_the_launch(stage: Stage) -> None:
    stage.hub.errors = [LaunchFailed(f"number {number}") for number in range(9)]
    events = await stage.events()
    assert events[-1] == {"phase": "failed", "status_code": 500, "message": "number 2\n"}
    await stage.sessions.close()
    assert [session.removed for session in stage.hub.created] == [True, True, True]


async def test_a_hub_that_is_down_fails_before_the_build() -> None:
    stage = make_stage(Quota(total=5))
    stage.hub.sessions_error = LaunchFailed("The hub does not answer.")
    assert await stage.events() == [
        {"phase": "failed", "status_code": 500, "message": "The hub does not answer.\n"}
    ]
    assert stage.builder.begun == []


async def test_a_store_that_cannot_deliver_fails_the_launch(stage: Stage) -> None:
    stage.store.images.add(IMAGE)
    stage.store.fetch_error = LaunchFailed("The image is damaged.")
    assert await stage.last() == {"phase": "failed", "status_code": 500, "message": "The image is damaged.\n"}
    assert stage.hub.created == []


async def test_launches_do_not_wait_one_after_the_other_for_a_slow_hub() -> None:
    stage = make_stage(Quota(total=100))
    stage.store.images.add(IMAGE)
    stage.hub.sessions_pause = 0.5
    async with asyncio.timeout(8):
        stories = await asyncio.gather(*(stage.events() for _ in range(30)))
    assert all(story[-1]["phase"] == "ready" for story in stories)


async def test_a_visitor_who_leaves_while_the_user_is_created_leaves_no_user(stage: Stage) -> None:
    stage.store.images.add(IMAGE)
    stage.hub.create_pause = 60.0
    launch = asyncio.create_task(stage.events())
    await until(lambda: stage.hub.created)
    launch.cancel()
    await asyncio.wait({launch})
    await stage.sessions.close()
    assert [session.removed for session in stage.hub.created] == [True]


async def test_a_full_member_refuses_before_the_build() -> None:
    stage = make_stage(Quota(total=0))
    assert await stage.events() == [
        {"phase": "failed", "message": "Too many users on this BinderHub! Try again soon.\n"}
    ]
    assert stage.builder.begun == []
    assert [fact.status for fact in stage.told.of(QuotaHit) if isinstance(fact, QuotaHit)] == ["pod_quota"]


async def test_a_full_member_refuses_a_known_image_after_saying_so() -> None:
    stage = make_stage(Quota(total=0))
    stage.store.images.add(IMAGE)
    assert [event["phase"] for event in await stage.events()] == ["built", "failed"]


@mark.parametrize(
    ("rules", "launched"),
    [
        ({}, 1),
        ({"high_quota_specs": ("git%3A",)}, 2),
        ({"spec_quotas": (("git", 3),)}, 3),
        ({"high_quota_specs": ("git",), "spec_quotas": (("git", 0),)}, 0),
    ],
)
async def test_some_repositories_may_run_more_often(rules: dict[str, Any], launched: int) -> None:
    stage = make_stage(Quota(9, 1, 2), Source(FakeProvider(), **rules))
    stage.store.images.add(IMAGE)
    ends = [await stage.last() for _ in range(4)]
    assert [end["phase"] for end in ends] == ["ready"] * launched + ["failed"] * (4 - launched)
    assert ends[-1]["message"] == f"Too many users running {REPO}! Try again soon.\n"
    stage.store.images.clear()
    refused = [event["phase"] for event in await stage.events()]
    assert refused == ["failed"]  # before the build


async def test_simultaneous_launches_do_not_share_the_last_seat() -> None:
    stage = make_stage(Quota(total=3))
    stage.store.images.add(IMAGE)
    stage.hub.create_pause = 0.02  # in which the hub does not count them yet
    stories = await asyncio.gather(*(stage.events() for _ in range(8)))
    ends = [story[-1]["phase"] for story in stories]
    assert (ends.count("ready"), ends.count("failed")) == (3, 5)
    assert len(stage.hub.running) == 3


async def test_a_session_that_the_hub_counts_is_not_counted_twice() -> None:
    stage = make_stage(Quota(total=2))
    stage.store.images.add(IMAGE)
    stage.hub.gate.clear()
    launches = [asyncio.create_task(stage.last())]
    await until(lambda: len(stage.hub.running) == 1)
    launches.append(asyncio.create_task(stage.last()))
    await until(lambda: len(stage.hub.running) == 2 or launches[1].done())
    stage.hub.gate.set()
    assert [event["phase"] for event in await asyncio.gather(*launches)] == ["ready", "ready"]


async def test_a_seat_of_a_failed_launch_is_free_again() -> None:
    stage = make_stage(Quota(total=1))
    stage.store.images.add(IMAGE)
    stage.hub.create_error = LaunchFailed("no")
    assert (await stage.last())["phase"] == "failed"
    stage.hub.create_error = None
    assert (await stage.last())["phase"] == "ready"


@mark.parametrize("how", ["close", "cancel"])
async def test_a_visitor_who_leaves_half_way_leaves_no_session(stage: Stage, how: str) -> None:
    stage.store.images.add(IMAGE)
    stage.hub.gate.clear()
    if how == "close":
        story = stage.pipeline.run(REQUEST)
        while event_of(await anext(story))["message"] != "Server requested\n":
            pass
        await story.aclose()  # type: ignore[attr-defined]
    else:
        launch = asyncio.create_task(stage.events())
        await until(lambda: stage.hub.running)
        launch.cancel()
        await asyncio.wait({launch})
    await stage.sessions.close()
    assert [session.removed for session in stage.hub.created] == [True]
    (ended,) = stage.told.of(LaunchEnded)
    assert isinstance(ended, LaunchEnded)
    assert ended.status == "abandoned"


async def test_a_session_whose_address_nobody_took_is_removed(stage: Stage) -> None:
    stage.store.images.add(IMAGE)
    story = stage.pipeline.run(REQUEST)
    while event_of(await anext(story))["phase"] != "ready":
        pass
    await story.aclose()  # type: ignore[attr-defined]
    await stage.sessions.close()
    assert [session.removed for session in stage.hub.created] == [True]
    (ended,) = stage.told.of(LaunchEnded)
    assert isinstance(ended, LaunchEnded)
    assert ended.status == "abandoned"


async def test_a_visitor_who_leaves_during_the_build_does_not_end_it(stage: Stage) -> None:
    stage.builder.gate.clear()
    launch = asyncio.create_task(stage.events())
    await until(lambda: stage.builder.begun)
    launch.cancel()
    await asyncio.wait({launch})
    stage.builder.gate.set()
    await until(lambda: IMAGE in stage.store.images)


async def test_a_session_that_cannot_be_removed_is_reported_and_holds_nobody_up(stage: Stage) -> None:
    stage.hub.errors = [LaunchFailed("no")] * 3
    await stage.events()
    await asyncio.wait_for(stage.sessions.close(), 5)


async def test_a_session_that_begins_does_not_take_two_seats() -> None:
    """The hub counts it from its request on; the member learns of that a little later."""
    stage = make_stage(Quota(total=2))
    hub = stage.hub
    starting = hub.create(session_request())
    async with stage.sessions.seat(IMAGE, REPO, Quota(total=2)) as promised:
        hub.running.append(starting)
        asyncio.get_running_loop().call_later(0.1, promised.give_back)
        assert (await stage.last())["phase"] == "ready"


def session_request() -> SessionRequest:
    return SessionRequest(IMAGE, "T" * 22, REPO, REPO, "", "", "", "")
