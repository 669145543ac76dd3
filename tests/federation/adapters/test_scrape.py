"""The scraper against members' metrics, and against servers that only pretend to have some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from contract_files import FOLDER, STOCK
from exporter import Exporter, Serve, answering, raw_server, trickling

from federation.adapters.scrape import BIG, MetricsScraper
from federation.adapters.transport import open_session
from federation.core.counters import grown, tally
from federation.core.exposition import DERIVED
from federation.core.model import Member, Tally
from federation.core.rules import PrometheusRules
from federation.service.ports import Reading
from members.adapters.metrics import Metrics
from members.core.facts import BuildStarted, LaunchEnded, LaunchStarted

METRICS = (FOLDER / STOCK / "metrics.txt").read_bytes()


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        self.at += 15
        return self.at


@asynccontextmanager
async def scraper(timeout: float = 5.0) -> AsyncIterator[MetricsScraper]:
    async with open_session() as session:
        yield MetricsScraper(session, lambda: PrometheusRules(timeout=timeout), Clock())


def values(found: Reading) -> dict[str, float]:
    return {name: signal.value for name, signal in found.signals.items()}


def whole(text: bytes) -> Serve:
    return answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)


async def test_signals_are_what_happened_between_two_scrapes() -> None:
    async with Exporter() as alpha, scraper() as reader:
        member = Member("alpha", f"http://127.0.0.1:{alpha.port}", 1.0)
        alpha.launched(*[100] * 50)
        first = await reader.read(member)
        assert values(first) == {"builds": 1, "launching": 2} and not first.unread
        alpha.launched(3, 3, 3)
        alpha.launched(9, status="failure")
        alpha.launched(9, status="retry")
        second = await reader.read(member)
        assert values(second)["launches"] == 4 and values(second)["launch_success"] == 0.75
        assert 2 < values(second)["launch_seconds"] <= 5
        assert tally(grown(first.counts, second.counts, 60)) == Tally(good=3, bad=1)
        assert all(signal.at > 1000 for signal in second.signals.values())
        alpha.renew()
        alpha.launched(1)
        third = await reader.read(member)
        assert tally(grown(second.counts, third.counts, 60)) == Tally(good=1)
        assert values(third)["launches"] == 5


async def test_what_a_stock_binderhub_exports() -> None:
    async with raw_server(whole(METRICS)) as url, scraper() as reader:
        found = await reader.read(Member("m", url, 1.0))
    assert values(found) == {"builds": 0, "launching": 0}
    (count,) = found.counts.values()
    assert count.values == {"success": 6}


async def test_what_our_member_exports() -> None:
    metrics = Metrics({"gh": "GitHub"})
    about = ("gh", "https://github.com/u/r", "image:1")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        accept = next(line for line in head.decode().splitlines() if line.startswith("Accept: "))
        text, _ = metrics.render(accept.removeprefix("Accept: "))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        await writer.drain()

    async with raw_server(serve) as url, scraper() as reader:
        member = Member("m", url, 1.0)
        await reader.read(member)
        metrics.listen(BuildStarted(*about))
        metrics.listen(LaunchStarted(*about))
        metrics.listen(LaunchEnded(*about, "success", 0, 3.0))
        metrics.listen(LaunchEnded(*about, "failure", 2, 3.0))
        metrics.listen(LaunchEnded(*about, "pod_quota", 0, 0.0))
        metrics.listen(LaunchEnded(*about, "abandoned", 0, 9.0))
        found = values(await reader.read(member))
    assert (found["launches"], found["launch_success"], found["builds"]) == (2, 0.5, 1)


async def test_thousands_of_repositories() -> None:
    line = 'binderhub_launch_count_total{provider="GitHub",repo="https://github.com/u/%d",status="success"} 1.0\n'
    text = "".join(line % number for number in range(20_000)).encode() + METRICS
    assert len(text) > BIG
    async with raw_server(whole(text)) as url, scraper() as reader:
        assert values(await reader.read(Member("m", url, 1.0))) == {"builds": 0, "launching": 0}


SLOW = "no answer within 0.5 s"


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (answering(b"", hold=True), SLOW),
        (trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), SLOW),
        (answering(b""), "closed the connection"),
        (answering(b"nonsense\r\n\r\n"), "answered with what is not HTTP"),
        (answering(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), "answered 404"),
        (
            answering(b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            "answered 302",
        ),
        (whole(b"<html>hello</html>"), "without a metric of BinderHub's"),
        (whole(b"\xff\xfe\x00"), "without a metric of BinderHub's"),
        (whole(b""), "without a metric of BinderHub's"),
        (whole(b"binderhub_inprogress_builds NaN\n"), "without a metric of BinderHub's"),
        (whole(b"binderhub_inprogress_builds{a=\n"), "no text format of metrics"),
        (whole(b"binderhub_inprogress_builds"), "no text format of metrics"),
        (whole(b"binderhub_inprogress_builds " + b"9" * 5000), "answered with"),
        (answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20_000_000), "more than 16777216 bytes"),
    ],
)
async def test_a_bad_answer_is_a_reason_and_never_an_error(serve: Serve, reason: str) -> None:
    async with raw_server(serve) as url, scraper(0.5) as reader:
        async with asyncio.timeout(5):
            found = await reader.read(Member("m", url, 1.0))
    assert found.unread.keys() == set(DERIVED) and not found.signals and not found.counts
    assert all(reason in why for why in found.unread.values()), found.unread
