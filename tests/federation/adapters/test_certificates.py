"""When members' certificates end, as a front door tells that looks at them over real TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import aiohttp
import pytest
import trustme
import uvloop
from aiohttp import web
from door_stage import WELL, Door, StockMember, series, until

from federation.core.model import Member, State

NAME = "federation_member_certificate_expiry_seconds"
AUTHORITY = trustme.CA()


@asynccontextmanager
async def member_with_tls(certificate: trustme.LeafCert, port: int = 0) -> AsyncIterator[int]:
    """The port of what is well, by a body so short that all of it comes at once."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    async def well(request: web.Request) -> web.Response:
        return web.json_response(WELL)

    app = web.Application()
    app.router.add_get("/health", well)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def ends_in(**length: float) -> tuple[float, trustme.LeafCert]:
    end = (datetime.now(UTC) + timedelta(**length)).replace(microsecond=0)
    return end.timestamp(), AUTHORITY.issue_cert("127.0.0.1", not_after=end)


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The front door believes the authority of these tests, as the machine's other ones are believed."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    monkeypatch.setattr(aiohttp, "TCPConnector", partial(aiohttp.TCPConnector, ssl=context))


async def told(door: Door) -> dict[str, float]:
    return series(await door.text("/metrics"), NAME)


async def _the_end_is_told() -> None:
    end, certificate = ends_in(days=40)
    async with member_with_tls(certificate) as port, StockMember("plain") as plain:
        members = Member("tls", f"https://127.0.0.1:{port}", 1.0), plain.configured()
        async with Door(*members) as door:
            assert door.state("tls") is State.HEALTHY
            assert await told(door) == {'member="tls"': end}  # and nothing of one without TLS


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_end_of_a_certificate_is_told(
    loop: Callable[[], asyncio.AbstractEventLoop], trusting: None
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_the_end_is_told())


async def test_a_renewed_certificate_is_seen_and_one_that_has_ended_stays_known(trusting: None) -> None:
    near, old = ends_in(hours=1)
    far, new = ends_in(days=90)
    _, over = ends_in(hours=-1)
    async with member_with_tls(old) as port:
        member = Member("tls", f"https://127.0.0.1:{port}", 1.0)
        door = await Door(member).__aenter__()
        assert await told(door) == {'member="tls"': near}
    try:
        async with member_with_tls(new, port):
            async with asyncio.timeout(10):
                while await told(door) != {'member="tls"': far}:
                    await asyncio.sleep(0.05)
        async with member_with_tls(over, port):
            await until(lambda: "no valid certificate" in door.door.pool.views()[0].reason)
            assert await told(door) == {'member="tls"': far}  # who is not let in shows nothing newer
        door.reconfigure([])
        assert await told(door) == {}
    finally:
        await door.__aexit__()
