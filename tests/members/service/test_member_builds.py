import asyncio
from collections.abc import AsyncIterator

from member_fakes import IMAGE, FakeBuilder, FakeStore, Listener, resolved, until
from pytest import fixture, raises

from members.core.facts import BuildEnded, BuildStarted, Trouble
from members.core.model import BuildBroken, BuildFailed, BuildLine
from members.service.builds import Builds
from members.service.places import Places


@fixture
def store() -> FakeStore:
    return FakeStore()


@fixture
def builder(store: FakeStore) -> FakeBuilder:
    return FakeBuilder(store)


@fixture
def told() -> Listener:
    return Listener()


@fixture
async def builds(store: FakeStore, builder: FakeBuilder, told: Listener) -> AsyncIterator[Builds]:
    made = Builds(builder, store, told, concurrent=2, timeout=30, log_limit=10**6)
    yield made
    await made.close()


def number(place: int) -> str:
    return f"Waiting for a place to build: number {place} in the queue.\n"


async def watch(builds: Builds, image: str = IMAGE) -> list[str]:
    return [line.message async for line in builds.watch(resolved(), image)]


async def test_twenty_watchers_share_one_build_and_its_whole_log(
    builds: Builds, builder: FakeBuilder
) -> None:
    builder.gate.clear()
    early = [asyncio.create_task(watch(builds)) for _ in range(10)]
    await until(lambda: builder.begun)
    await asyncio.sleep(0.02)
    late = [asyncio.create_task(watch(builds)) for _ in range(10)]
    await asyncio.sleep(0.02)
    builder.gate.set()
    logs = await asyncio.gather(*early, *late)
    assert builder.begun == [IMAGE]
    assert logs == [["one\n", "two\n", "three\n"]] * 20


async def test_a_started_build_goes_on_when_all_watchers_leave(
    builds: Builds, builder: FakeBuilder, store: FakeStore
) -> None:
    builder.gate.clear()
    watcher = asyncio.create_task(watch(builds))
    await until(lambda: builder.begun)
    watcher.cancel()
    await asyncio.wait({watcher})
    assert builds.running == 1
    builder.gate.set()
    await until(lambda: IMAGE in store.images)
    assert builds.running == 0


async def test_a_build_that_waits_for_a_place_is_given_up_with_its_last_watcher(
    builds: Builds, builder: FakeBuilder
) -> None:
    builder.gate.clear()
    running = [asyncio.create_task(watch(builds, image)) for image in ("a:1", "b:1")]
    await until(lambda: len(builder.begun) == 2)
    waiting = builds.watch(resolved(), "c:1")
    assert (await anext(waiting)).message == number(1)
    await waiting.aclose()  # type: ignore[attr-defined]
    builder.gate.set()
    await asyncio.gather(*running)
    await asyncio.sleep(0.02)
    assert builder.begun == ["a:1", "b:1"]


async def test_a_waiting_build_tells_each_change_of_its_number_in_the_queue(
    builds: Builds, builder: FakeBuilder
) -> None:
    builder.gate.clear()
    running = [asyncio.create_task(watch(builds, image)) for image in ("a:1", "b:1")]
    await until(lambda: len(builder.begun) == 2)
    waiting = []
    for image in ("c:1", "d:1", "e:1"):
        waiting.append(asyncio.create_task(watch(builds, image)))
        await asyncio.sleep(0.02)
    waiting[1].cancel()  # its only watcher leaves
    await asyncio.wait({waiting[1]})
    await asyncio.sleep(0.02)
    builder.gate.set()
    first, last = await asyncio.gather(waiting[0], waiting[2])
    await asyncio.gather(*running)
    built = ["one\n", "two\n", "three\n"]
    assert first == [number(1), *built]
    assert last[:2] == [number(3), number(2)]
    assert last[-3:] == built
    assert builder.begun == ["a:1", "b:1", "c:1", "e:1"]


async def test_numbers_in_the_queue_are_told_as_waiting(builds: Builds, builder: FakeBuilder) -> None:
    builder.gate.clear()
    running = [asyncio.create_task(watch(builds, image)) for image in ("a:1", "b:1")]
    await until(lambda: len(builder.begun) == 2)
    waiting = builds.watch(resolved(), "c:1")
    assert await anext(waiting) == BuildLine(number(1), "waiting")
    await waiting.aclose()  # type: ignore[attr-defined]
    builder.gate.set()
    await asyncio.gather(*running)


async def test_a_place_handed_over_as_its_build_is_given_up_is_not_lost(
    builds: Builds, builder: FakeBuilder
) -> None:
    builder.gate.clear()
    running = [asyncio.create_task(watch(builds, image)) for image in ("a:1", "b:1")]
    await until(lambda: len(builder.begun) == 2)
    given_up = asyncio.create_task(watch(builds, "c:1"))
    next_one = asyncio.create_task(watch(builds, "d:1"))
    await asyncio.sleep(0.02)
    builder.gate.set()
    while not builder.ended:
        await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(*running)
    assert (await next_one)[-1] == "three\n"
    builder.most_at_once = 0
    await asyncio.gather(*(watch(builds, f"z:{count}") for count in range(4)))
    assert builder.most_at_once == 2  # both places are still there


async def test_no_more_builds_at_once_than_places(builds: Builds, builder: FakeBuilder) -> None:
    logs = await asyncio.gather(*(watch(builds, f"i:{number}") for number in range(7)))
    assert builder.most_at_once == 2
    assert all(log[-1] == "three\n" for log in logs)
    assert len(builder.begun) == 7


async def test_every_watcher_learns_of_a_failure(
    builds: Builds, builder: FakeBuilder, told: Listener
) -> None:
    builder.error = BuildFailed("requirements.txt: no such package")
    results = await asyncio.gather(*(watch(builds) for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["requirements.txt: no such package"] * 3
    assert all(isinstance(result, BuildFailed) for result in results)
    (ended,) = told.of(BuildEnded)
    assert isinstance(ended, BuildEnded)
    assert (ended.status, ended.cause, ended.ours) == ("failure", "requirements.txt: no such package", False)


async def test_a_failed_build_can_be_tried_again(builds: Builds, builder: FakeBuilder) -> None:
    builder.error = BuildFailed("no")
    with raises(BuildFailed):
        await watch(builds)
    builder.error = None
    assert len(await watch(builds)) == 3


async def test_an_unexpected_error_is_the_members_own(
    builds: Builds, builder: FakeBuilder, told: Listener
) -> None:
    builder.error = RuntimeError("secret detail")
    with raises(BuildBroken, match="inside this member") as caught:
        await watch(builds)
    assert "secret" not in str(caught.value)
    assert [str(fact.error) for fact in told.of(Trouble) if isinstance(fact, Trouble)] == ["secret detail"]


async def test_a_build_ends_at_its_time_limit(store: FakeStore, builder: FakeBuilder, told: Listener) -> None:
    builds = Builds(builder, store, told, concurrent=1, timeout=0.05, log_limit=10**6)
    builder.gate.clear()
    with raises(BuildFailed, match="took longer than"):
        await watch(builds)
    assert builder.ended == [IMAGE]


async def test_a_timeout_inside_the_builder_is_not_taken_for_the_limit(
    builds: Builds, builder: FakeBuilder
) -> None:
    builder.error = TimeoutError()
    with raises(BuildBroken):
        await watch(builds)


async def test_closing_ends_running_and_waiting_builds(
    store: FakeStore, builder: FakeBuilder, told: Listener
) -> None:
    builds = Builds(builder, store, told, concurrent=1, timeout=30, log_limit=10**6)
    builder.gate.clear()
    watchers = [asyncio.create_task(watch(builds, image)) for image in ("a:1", "b:1")]
    await until(lambda: builder.begun)
    unstarted = asyncio.create_task(watch(builds, "c:1"))
    await asyncio.sleep(0)
    await builds.close()
    results = await asyncio.gather(*watchers, unstarted, return_exceptions=True)
    assert all(isinstance(result, BuildBroken) and "shutting down" in str(result) for result in results)
    assert builder.ended == ["a:1"]
    with raises(BuildBroken, match="shutting down"):
        await watch(builds, "d:1")


async def test_an_image_that_another_member_stored_meanwhile_is_not_built(
    builds: Builds, builder: FakeBuilder, store: FakeStore, told: Listener
) -> None:
    store.images.add(IMAGE)
    assert await watch(builds) == []
    assert builder.begun == []
    assert told.of(BuildStarted) == []


async def test_a_watcher_who_comes_as_the_build_ends_does_not_start_another(
    builds: Builds, builder: FakeBuilder
) -> None:
    await watch(builds)
    await watch(builds)
    assert builder.begun == [IMAGE]


async def test_a_place_given_back_passes_by_who_is_cancelled_in_the_same_moment() -> None:
    places, reached = Places(1), []

    async def stay(name: str) -> None:
        async with places.taken(lambda number: None):
            reached.append(name)
            await asyncio.sleep(0 if name == "third" else 60)

    first, second, third = (asyncio.create_task(stay(name)) for name in ("first", "second", "third"))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    async with asyncio.timeout(5):
        await third
        ended = await asyncio.gather(first, second, return_exceptions=True)
        await stay("third")
    assert [type(end) for end in ended] == [asyncio.CancelledError] * 2
    assert reached == ["first", "third", "third"]
