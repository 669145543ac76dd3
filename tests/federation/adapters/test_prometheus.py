"""The source of signals against a real Prometheus, and against servers that only pretend to be one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from door_stage import until
from exporter import Exporter, Serve, answering, raw_server, trickling
from prometheus_stage import asked, free_port, running_prometheus

from federation.adapters.clock import SystemClock
from federation.adapters.prometheus import STILL_BUSY, THREADS, PrometheusSource
from federation.adapters.scrape import MetricsScraper
from federation.adapters.transport import open_session
from federation.core.counters import grown, tally
from federation.core.model import Member, Signal, Tally
from federation.core.promql import QUERIES
from federation.core.rules import PrometheusRules
from federation.service.ports import Reading, SignalSource

NONE = Signal(0.0, 0.0)
ALPHA, BETA = Member("alpha", "http://alpha", 1.0), Member("beta", "http://beta", 1.0)
NOTHING = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(NOTHING) + NOTHING


@dataclass(frozen=True)
class Running:
    """A Prometheus and the ports that it reads the metrics of these members on, whether or not any are there."""

    url: str
    ports: dict[str, int]

    def exporter(self, member: str) -> Exporter:
        return Exporter(self.ports[member])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    ports = {name: free_port() for name in ("alpha", "beta", "fails", "anew", "both")}
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), ports) as url:
        yield Running(url, ports)


@asynccontextmanager
async def source(
    url: str | None, *, threads: int = THREADS, **rules: object
) -> AsyncIterator[PrometheusSource]:
    asking = PrometheusSource(
        lambda: PrometheusRules(url=url, **rules),  # type: ignore[arg-type]
        SystemClock(),
        threads=threads,
    )
    try:
        yield asking
    finally:
        asking.close()


def threads() -> int:
    return sum(thread.name.startswith("prometheus") for thread in threading.enumerate())


async def reading(
    asking: SignalSource, member: Member, met: Callable[[Reading], object], seconds: float = 15
) -> Reading:
    """The first one that is as wanted."""
    async with asyncio.timeout(seconds):
        while not met(found := await asking.read(member)):
            await asyncio.sleep(0.2)
    return found


def values(found: Reading) -> dict[str, float]:
    return {name: signal.value for name, signal in found.signals.items()}


def on_kubernetes(one: Exporter) -> None:
    for number in range(3):
        labels = {"condition": "MemoryPressure", "status": "true", "node": f"n{number}"}
        if number == 0:
            one.registry.register(_Series("kube_node_status_condition", labels, 1))
        else:
            one.registry.register(_Series("kube_node_status_condition", labels, 0))
    one.registry.register(_Series("kube_pod_status_phase", {"pod": "jupyter-x", "phase": "Running"}, 1))
    one.registry.register(_Series("kube_pod_status_phase", {"pod": "jupyter-y", "phase": "Running"}, 1))
    one.registry.register(_Series("kube_pod_status_phase", {"pod": "hub-1", "phase": "Running"}, 1))
    one.registry.register(_Series("kube_resourcequota", {"resource": "pods", "type": "hard"}, 300))


def on_one_host(one: Exporter) -> None:
    one.gauge("jupyterhub_running_servers", 5)
    one.gauge("node_memory_MemAvailable_bytes", 1e9)
    one.gauge("node_memory_MemTotal_bytes", 64e9)
    one.gauge("node_filesystem_avail_bytes", 90e9, fstype="ext4", mountpoint="/")
    one.gauge("node_filesystem_size_bytes", 100e9, fstype="ext4", mountpoint="/")


class _Series:
    """One series of an exporter that several collectors may share a name in."""

    def __init__(self, name: str, labels: dict[str, str], value: float) -> None:
        self._told = name, labels, value

    def collect(self):  # type: ignore[no-untyped-def]
        from prometheus_client.core import GaugeMetricFamily

        name, labels, value = self._told
        family = GaugeMetricFamily(name, "g", labels=list(labels))
        family.add_metric(list(labels.values()), value)
        yield family


@pytest.mark.integration
async def test_the_default_queries_find_every_signal(prometheus: Running) -> None:
    async with (
        prometheus.exporter("alpha") as alpha,
        prometheus.exporter("beta") as beta,
        source(prometheus.url) as asking,
    ):
        on_kubernetes(alpha)
        on_one_host(beta)
        first = await reading(asking, ALPHA, lambda found: found.counts)
        alpha.launched(3, 3, 8)
        alpha.launched(1, status="failure")
        alpha.launched(1, status="retry")
        told = await reading(asking, ALPHA, lambda found: "launch_success" in found.signals)
        assert told.signals.keys() == QUERIES.keys() and not told.unread
        seen = values(told)
        assert seen["launch_success"] == pytest.approx(0.75)
        assert 4 <= seen["launches"] < 40  # `increase` extrapolates, by much in the first seconds
        assert 5 < seen["launch_seconds"] <= 10
        assert (seen["builds"], seen["launching"]) == (1, 2)
        assert (seen["sessions"], seen["quota"]) == (2, 300)
        assert seen["pressure"] == pytest.approx(1 / 3)
        ended = await reading(asking, ALPHA, lambda found: grown(first.counts, found.counts, 60))
        assert tally(grown(first.counts, ended.counts, 60)) == Tally(good=3, bad=1)
        other = values(await reading(asking, BETA, lambda found: "launches" in found.signals))
        assert (other["sessions"], other["pressure"]) == (5, 1.0) and other["launches"] == 0
        assert "launch_success" not in other and "quota" not in other
        stranger = await asking.read(Member("gamma", "http://gamma", 1.0))
        assert not stranger.signals and not stranger.unread and not stranger.counts


@pytest.mark.integration
async def test_a_member_that_only_fails_has_a_success_of_nothing(prometheus: Running) -> None:
    """A process has no series of successes before its first."""
    member = Member("fails", "http://fails", 1.0)
    async with prometheus.exporter("fails") as fails, source(prometheus.url) as asking:
        fails.renew(statuses=("failure",))
        await reading(asking, member, lambda found: found.counts)
        fails.launched(9, 9, 9, status="failure")
        told = await reading(asking, member, lambda found: found.signals.get("launches", NONE).value > 0)
    assert values(told)["launch_success"] == 0


@pytest.mark.integration
async def test_counters_that_begin_anew_and_figures_that_age(prometheus: Running) -> None:
    member = Member("anew", "http://anew", 1.0)
    async with prometheus.exporter("anew") as anew, source(prometheus.url) as asking:
        anew.launched(*[3] * 50)
        first = await reading(asking, member, lambda found: found.counts)
        anew.renew()
        anew.launched(3, 3)
        anew.launched(3, status="failure")

        def growth(found: Reading) -> Tally:
            return tally(grown(first.counts, found.counts, 60))

        await reading(asking, member, lambda found: growth(found) == Tally(good=2, bad=1))
        fresh = await asking.read(member)
        assert time.time() - fresh.signals["launches"].at < 3
        seen = 'max_over_time(timestamp(binderhub_inprogress_launches{member="anew"})[10m:5s])'
        await until(lambda: asked(prometheus.url, seen))
        await anew.die()
        await reading(asking, member, lambda found: "builds" not in found.signals)
        aged = await reading(asking, member, lambda found: time.time() - found.signals["launches"].at > 3)
        assert aged.signals.keys() >= {"launches", "launch_success"}


@pytest.mark.integration
async def test_a_scrape_tells_what_prometheus_tells(prometheus: Running) -> None:
    async with (
        prometheus.exporter("both") as both,
        open_session() as session,
        source(prometheus.url) as asking,
    ):
        scraper = MetricsScraper(session, PrometheusRules, SystemClock())
        member = Member("both", f"http://127.0.0.1:{both.port}", 1.0)
        await reading(asking, member, lambda found: found.counts)
        await reading(scraper, member, lambda found: found.counts)
        both.launched(1, 3, 4, 4, 7, 12, 14, 22, 40, 90)
        both.launched(5, 5, status="failure")
        told = await reading(asking, member, lambda found: "launch_seconds" in found.signals)
        scraped = await reading(scraper, member, lambda found: "launch_seconds" in found.signals)
        by_prometheus, by_scrape = values(told), values(scraped)
    for name in ("launch_success", "launch_seconds", "builds", "launching"):
        assert by_scrape[name] == pytest.approx(by_prometheus[name]), name
    assert by_scrape["launches"] == 12


@pytest.mark.integration
async def test_a_query_of_the_operators_own(prometheus: Running) -> None:
    queries = {"sessions": "vector(7) % 4", "builds": "sum(", "quota": "", "launching": "scalar(vector(9))"}
    async with source(prometheus.url, queries={**queries, "pressure": '{__name__=~"up|scrape.*"}'}) as asking:
        found = await reading(asking, ALPHA, lambda found: "pressure" in found.unread)
    assert values(found)["sessions"] == 3 and values(found)["launching"] == 9
    assert "quota" not in found.signals and found.unread.keys() == {"builds", "pressure"}
    assert found.unread["builds"].startswith("was refused: ") and "parse error" in found.unread["builds"]
    assert found.unread["pressure"] == "was answered with what is not one figure"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
SLOW = "no answer within 0.5 s"


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (answering(b"", hold=True), SLOW),
        (answering(HEAD, hold=True), SLOW),
        (trickling(b""), SLOW),
        (trickling(b"HTTP/1.1 200 OK\r\nX: "), SLOW),
        (trickling(HEAD), SLOW),
        (answering(b""), "found no server, or lost it"),
        (answering(HEAD + b"{"), "found no server, or lost it"),
        (answering(b"nonsense\r\n\r\n"), "found no server, or lost it"),
        (answering(b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy"), "was refused: HTTP Status Code 503"),
        (
            answering(b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            "a redirect",
        ),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"), "what is not JSON"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"), "what is no result"),
        (
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n" + b'{"data":{"result":[{"a":1}]}'),
            "not JSON",
        ),
        (
            answering(b'HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{"data":{"result":"x"}}'),
            "what is not one figure",
        ),
        (answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000), "more than 1048576 bytes"),
        (
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + b"[" * 50_000),
            "was answered with what is",
        ),
    ],
)
async def test_a_bad_server_is_a_reason_and_never_an_error(serve: Serve, reason: str) -> None:
    async with raw_server(serve) as url:
        async with source(url, timeout=0.5) as asking:
            async with asyncio.timeout(5):
                found = await asking.read(ALPHA)
            assert found.unread.keys() == QUERIES.keys() and not found.signals and not found.counts
            assert all(reason in why for why in found.unread.values()), found.unread
            assert not any("127.0.0.1" in why for why in found.unread.values())
        await until(lambda: threads() == 0, 3)  # while the server still holds its end


async def test_an_address_that_cannot_be_reached_is_a_reason() -> None:
    async with source("http://127.0.0.1:1") as asking:
        assert set((await asking.read(ALPHA)).unread.values()) == {"found no server, or lost it"}
    async with source(None) as asking:
        assert await asking.read(ALPHA) == Reading()


async def test_a_connection_that_broke_is_tried_once_more() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while connections > 1:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(EMPTY)
            await writer.drain()

    async with raw_server(serve) as url, source(url) as asking:
        assert await asking.read(ALPHA) == Reading()
    assert connections == 2  # and the second is kept for all questions


async def test_threads_are_bounded_and_waiting_for_one_is_bounded_too() -> None:
    async with raw_server(answering(b"", hold=True)) as url:
        async with source(url, threads=2, timeout=1.0) as asking:
            members = [Member(f"m{number}", "http://m", 1.0) for number in range(20)]
            async with asyncio.timeout(10):
                found = await asyncio.gather(*(asking.read(member) for member in members))
            assert {why for one in found for why in one.unread.values()} == {"no answer within 1 s"}
            assert threads() <= 2
        await until(lambda: threads() == 0, 3)


async def test_a_member_whose_last_question_holds_a_thread_is_not_asked_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as in a resolver, which nobody can cut."""
    held = threading.Event()
    monkeypatch.setattr("federation.adapters.prometheus.Line.ask", lambda line, query: held.wait(20))
    async with source("http://127.0.0.1:1", timeout=0.2) as asking:
        try:
            assert set((await asking.read(ALPHA)).unread.values()) == {"no answer within 0.2 s"}
            assert set((await asking.read(ALPHA)).unread.values()) == {STILL_BUSY}
            assert set((await asking.read(BETA)).unread.values()) == {"no answer within 0.2 s"}
        finally:
            held.set()
    await until(lambda: threads() == 0, 3)


async def test_closing_ends_a_question_under_way() -> None:
    async with raw_server(trickling(b"HTTP/1.1 200 OK\r\nX: ")) as url:
        async with source(url, timeout=60.0) as asking:
            task = asyncio.create_task(asking.read(ALPHA))
            await until(lambda: threads() == 1)
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(0)
        await until(lambda: threads() == 0, 3)


async def test_the_token_goes_to_the_common_prometheus_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing that the environment knows takes its place."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    environment = {"NETRC": str(netrc), "http_proxy": "http://127.0.0.1:1", "no_proxy": "", "NO_PROXY": ""}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asked: list[web.Request] = []

    async def query(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})

    app = web.Application()
    app.router.add_get("/p/api/v1/query", query)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/p"
    try:
        async with source(url, token="secret", selector='cluster="%(member)s"') as asking:
            assert await asking.read(ALPHA) == Reading()
            assert {request.headers.get("Authorization") for request in asked} == {"Bearer secret"}
            assert all('cluster="alpha"' in request.query["query"] for request in asked)
            asked.clear()
            assert await asking.read(Member("beta", "http://beta", 1.0, prometheus=url)) == Reading()
            assert asked and not any("Authorization" in request.headers for request in asked)
            assert not any("beta" in request.query["query"] for request in asked)
    finally:
        await runner.cleanup()
