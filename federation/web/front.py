"""Answers the commonest request of redirect mode before the application hears of it: a launch that is handed over.

Router, middlewares and a general response cost more than all that there is to do. Whatever is out of the ordinary goes
the application's way, which answers a launch alike: another method, HTTP/1.0, a Host that is none, a spec that cannot
be read, a launch that no member can take. Knows nothing of how members are chosen.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from federation.core.errors import LaunchError
from federation.core.launchkey import parse_launch
from federation.core.model import Launch
from federation.core.rules import Mode
from federation.web.cors import CORS
from federation.web.keys import RUNNING
from federation.web.launch import LAUNCHER, target
from federation.web.middleware import HOST, SAFE_HEADERS, SERVER

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

STATUS = HTTPStatus.TEMPORARY_REDIRECT


class FrontRunner(web.AppRunner):
    """Runs the application of the front door, with the quick way in front of it as long as `quick` is set. The quick
    way keeps every connection, so a server that is to be left by its visitors has to do without."""

    quick = True

    async def setup(self) -> None:
        await super().setup()
        assert self.server is not None
        self.server.request_handler = quick_way(self.app, self.server.request_handler, lambda: self.quick)


def quick_way(app: web.Application, ordinary: Handler, open: Callable[[], bool] = lambda: True) -> Handler:
    """A handler that hands launches over in redirect mode, and leaves everything else to the `ordinary` one, or all
    while it is not `open`."""
    running, hand_over = app[RUNNING], app[LAUNCHER].hand_over

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if running.settings.launch.mode is Mode.REDIRECT and open() and _usual(request):
            try:
                launch, place = _asked(request.raw_path)
            except LaunchError:
                return await ordinary(request)
            member = hand_over(launch)
            if member is not None:
                return Redirect(b"".join((_head(member.url), place, _rest(int(time.time())))))
        return await ordinary(request)

    return handle


class Redirect(web.StreamResponse):
    """A response over HTTP/1.1 of which every byte is there already, and the connection stays open after it.

    It is for the server alone, which asks for no more than this. What else the base class keeps is not there: to make
    its headers and its state would take as long as to decide where the launch goes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def status(self) -> int:
        return STATUS

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Writes all of it, and waits while the client asks on and on and reads nothing."""
        await request.writer.write_eof(self._data)
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """All is written already."""


def _usual(request: web.BaseRequest) -> bool:
    """Whether neither the answer's form nor a refusal depends on anything but the launch."""
    headers = request.headers
    return (
        request.raw_path.startswith("/build/")
        and request.method == hdrs.METH_GET
        and request.version == HttpVersion11
        and request.keep_alive
        and _is_host(headers.get(hdrs.HOST, ""))
        and (
            hdrs.X_FORWARDED_HOST not in headers or all(map(_is_host, headers.getall(hdrs.X_FORWARDED_HOST)))
        )
        and hdrs.EXPECT not in headers
    )


@lru_cache(maxsize=128)
def _is_host(text: str) -> bool:
    return HOST.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _asked(raw_target: str) -> tuple[Launch, bytes]:
    """The launch that a request line asks for, and its path and query on the member. Raises `LaunchError`."""
    path, _, query = raw_target.partition("#")[0].partition("?")
    launch = parse_launch(path, query)
    return launch, target(launch).encode()


@lru_cache(maxsize=1024)
def _head(member_url: str) -> bytes:
    """The answer up to the address of the member, with which it ends."""
    lines = [f"HTTP/1.1 {STATUS.value} {STATUS.phrase}", *_lines(CORS), f"Location: {member_url}"]
    return "\r\n".join(lines).encode()


@lru_cache(maxsize=1)
def _rest(now: int) -> bytes:
    """The answer after its Location, the same for a whole second."""
    headers = {"Content-Length": "0", "Date": formatdate(now, usegmt=True), "Server": SERVER, **SAFE_HEADERS}
    return "\r\n".join(["", *_lines(headers), "", ""]).encode()


def _lines(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]
