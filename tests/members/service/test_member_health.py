import asyncio

from member_fakes import IMAGE, FakeBuilder, FakeHub, FakeStore, Listener, resolved, until
from pytest import fixture

from members.core.facts import Trouble
from members.core.model import HealthCheck, LaunchFailed
from members.service.builds import Builds
from members.service.health import Check, Health, checks


@fixture
def store() -> FakeStore:
    return FakeStore()


@fixture
def hub() -> FakeHub:
    return FakeHub()


def make_health(store: FakeStore, hub: FakeHub, quota: int | None = 10) -> Health:
    builds = Builds(FakeBuilder(store), store, Listener(), concurrent=1, timeout=9, log_limit=10**6)
    return Health(checks(store, hub, builds, quota), Listener(), limit=0.2, ttl=0)


async def test_a_well_member(store: FakeStore, hub: FakeHub) -> None:
    report = await make_health(store, hub).report()
    assert report.ok
    assert [check.service for check in report.checks] == ["Docker registry", "JupyterHub API", "Pod quota"]
    pods = report.checks[2]
    assert pods.detail == (("total_pods", 0), ("build_pods", 0), ("user_pods", 0), ("quota", 10))
    assert pods.ok
    assert pods.ignore_failure


async def test_builds_and_sessions_count_as_pods_and_fullness_is_no_illness(
    store: FakeStore, hub: FakeHub
) -> None:
    builder = FakeBuilder(store)
    builder.gate.clear()
    builds = Builds(builder, store, Listener(), concurrent=1, timeout=9, log_limit=10**6)
    watcher = asyncio.create_task(anext(builds.watch(resolved(), IMAGE)))
    await until(lambda: builder.begun)
    report = await Health(checks(store, hub, builds, 0), Listener(), ttl=0).report()
    assert report.ok
    assert not report.checks[2].ok
    assert dict(report.checks[2].detail)["total_pods"] == 1
    await watcher
    await builds.close()


async def test_a_failing_store_or_hub_is_illness(store: FakeStore, hub: FakeHub) -> None:
    health = make_health(store, hub)
    store.well = False
    assert not (await health.report()).ok
    store.well, hub.well = True, False
    assert not (await health.report()).ok
    hub.well = True
    assert (await health.report()).ok


async def test_unknown_sessions_do_not_hide_the_rest(store: FakeStore, hub: FakeHub) -> None:
    hub.sessions_error = LaunchFailed("down")
    report = await make_health(store, hub).report()
    assert [check.ok for check in report.checks] == [True, True, False]
    assert report.checks[2].detail == (("quota", 10),)


async def test_a_check_that_hangs_or_breaks_fails_alone() -> None:
    async def hangs() -> HealthCheck:
        await asyncio.sleep(60)
        raise AssertionError

    async def breaks() -> HealthCheck:
        raise RuntimeError("inside")

    async def well() -> HealthCheck:
        return HealthCheck("c", True)

    told = Listener()
    bad = [HealthCheck(name, False) for name in "abc"]
    health = Health([Check(hangs, bad[0]), Check(breaks, bad[1]), Check(well, bad[2])], told, limit=0.05)
    report = await health.report()
    assert [check.ok for check in report.checks] == [False, False, True]
    assert [fact.where for fact in told.of(Trouble) if isinstance(fact, Trouble)] == ["health check b"]


async def test_many_askers_share_one_run_and_a_leaving_one_does_not_end_it() -> None:
    gate = asyncio.Event()
    runs = 0

    async def counted() -> HealthCheck:
        nonlocal runs
        runs += 1
        await gate.wait()
        return HealthCheck("a", True)

    health = Health([Check(counted, HealthCheck("a", False))], Listener(), limit=5, ttl=60)
    askers = [asyncio.create_task(health.report()) for _ in range(5)]
    await until(lambda: runs)
    askers[0].cancel()
    await asyncio.wait({askers[0]})
    gate.set()
    assert all(report.ok for report in await asyncio.gather(*askers[1:]))
    assert (await health.report()).ok
    assert runs == 1
    await health.close()
