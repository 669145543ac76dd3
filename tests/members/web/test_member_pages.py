"""Everything beside `/build`, over real connections."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import aiohttp
from aiohttp.test_utils import TestServer
from contract_files import body
from member_fakes import Listener
from pytest import LogCaptureFixture, fixture, mark
from test_member_build import Told, make_app

from members.adapters.log import shorten_bad_requests
from members.core.model import HealthCheck
from members.service.health import Check, Health
from members.web.keys import HEALTH


@fixture
async def server() -> AsyncIterator[TestServer]:
    async with TestServer(make_app(Told(), Listener(), base_url="/")) as running:
        yield running


@fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_health_has_the_recorded_shape(server: TestServer, http: aiohttp.ClientSession) -> None:
    async with http.get(server.make_url("/health")) as answer:
        assert answer.status == 200
        text = await answer.text()
    told = json.loads(text)
    known = json.loads(body("health"))
    assert isinstance(known, dict)
    assert list(told) == list(known)
    assert told["checks"][:2] == known["checks"]
    assert text.endswith(
        '{"service": "Pod quota", "total_pods": 0, "build_pods": 0, "user_pods": 0, "quota": 9, "ok": true,'
        ' "_ignore_failure": true}]}'
    )


async def test_ill_health_is_503_with_the_same_body(http: aiohttp.ClientSession) -> None:
    async def failing() -> HealthCheck:
        return HealthCheck("JupyterHub API", False)

    app = make_app(Told(), Listener())
    app[HEALTH] = Health([Check(failing, HealthCheck("JupyterHub API", False))], Listener())
    async with TestServer(app) as server:
        async with http.get(server.make_url("/health")) as answer:
            assert answer.status == 503
            assert await answer.json() == {
                "ok": False,
                "checks": [{"service": "JupyterHub API", "ok": False}],
            }
        async with http.head(server.make_url("/health")) as answer:
            assert (answer.status, await answer.read()) == (503, b"")


async def test_versions_have_the_recorded_keys(server: TestServer, http: aiohttp.ClientSession) -> None:
    async with http.get(server.make_url("/versions")) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.content_type == "application/json"
        known = json.loads(body("versions"))
        assert isinstance(known, dict)
        assert list(await answer.json()) == list(known)


async def test_versions_are_open_to_all_even_without_cors(http: aiohttp.ClientSession) -> None:
    async with TestServer(make_app(Told(), Listener(), allow_origin="")) as server:
        assert "Access-Control-Allow-Origin" not in (await http.get(server.make_url("/health"))).headers
        assert (await http.get(server.make_url("/versions"))).headers["Access-Control-Allow-Origin"] == "*"


async def test_metrics_and_providers(server: TestServer, http: aiohttp.ClientSession) -> None:
    async with http.get(server.make_url("/metrics")) as answer:
        assert await answer.text() == "# metrics\n"
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    async with http.get(server.make_url("/api/repoproviders")) as answer:
        assert await answer.json() == [{"displayName": "GitHub", "id": "gh"}]


@mark.parametrize(
    ("path", "location"),
    [
        ("/repo/user/name", "/v2/gh/user/name/master"),
        ("/repo/user/name/", "/v2/gh/user/name/master"),
        ("/repo/user/name/notebooks/a b.ipynb", "/v2/gh/user/name/master?urlpath=%2Fnotebooks%2Fa%20b.ipynb"),
    ],
)
async def test_links_of_the_first_years(
    server: TestServer, http: aiohttp.ClientSession, path: str, location: str
) -> None:
    async with http.get(server.make_url(path), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, location)


@mark.parametrize(
    ("path", "content_type"),
    [
        ("/badge.svg", "image/svg+xml"),
        ("/badge_logo.svg", "image/svg+xml"),
        ("/assets/images/badge.svg", "image/svg+xml"),
        ("/logo_social.png", "image/png"),
    ],
)
async def test_images(server: TestServer, http: aiohttp.ClientSession, path: str, content_type: str) -> None:
    async with http.get(server.make_url(path)) as answer:
        assert (answer.status, answer.content_type) == (200, content_type)
        assert len(await answer.read()) > 100
    async with http.head(server.make_url(path)) as answer:
        assert answer.status == 200


@mark.parametrize("path", ["/favicon.ico", "/robots.txt", "/favicon_fail.ico"])
async def test_absent_files(server: TestServer, http: aiohttp.ClientSession, path: str) -> None:
    assert (await http.get(server.make_url(path))).status == 404


async def test_outside_the_base_url_is_nothing(http: aiohttp.ClientSession) -> None:
    async with TestServer(make_app(Told(), Listener(), base_url="/b/")) as server:
        assert (await http.get(server.make_url("/health"))).status == 404
        assert (await http.get(server.make_url("/b/health"))).status == 200
        answer = await http.get(server.make_url("/b/repo/u/r"), allow_redirects=False)
        assert answer.headers["Location"] == "/b/v2/gh/u/r/master"


@mark.parametrize(
    "head",
    [
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /build/gh/" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_broken_requests_get_a_short_answer(
    server: TestServer, head: bytes, caplog: LogCaptureFixture
) -> None:
    logger = logging.getLogger("aiohttp.server")
    logger.addFilter(shorten_bad_requests)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    with caplog.at_level(logging.INFO):
        writer.write(head)
        answer = await asyncio.wait_for(reader.read(100_000), 5)
        writer.close()
    logger.removeFilter(shorten_bad_requests)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert len(answer) < 1000
    assert b"Traceback" not in answer
    assert not any(record.exc_info for record in caplog.records)


async def test_other_methods_are_refused(server: TestServer, http: aiohttp.ClientSession) -> None:
    assert (await http.post(server.make_url("/build/gh/u/r/HEAD"))).status == 405
