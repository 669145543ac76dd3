"""One connection to a Prometheus, of a size and time that are bounded. Knows no member and no signal.

prometheus-api-client is synchronous: its calls wait in threads, which nobody can end from outside. Its timeouts
are per read, so that a server which trickles holds a thread for hours. Hence its connection can be cut: whoever
waits on it then fails at once. Its own retries are off, as they multiply every timeout.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from io import BytesIO
from threading import Lock
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

LARGEST_ANSWER = 1024 * 1024
_CHUNK = 64 * 1024


class AnswerTooLarge(requests.RequestException):
    """More bytes than any answer to a question of ours has."""


class Line:
    """A connection that is kept for several questions. `token` is sent as bearer token; `timeout` is of one read.

    No proxies, no credentials of the environment, no redirects.
    """

    def __init__(self, url: str, token: str | None, timeout: float) -> None:
        self._sockets = _Sockets()
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        headers = {"User-Agent": "binder-federation", "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._server = PrometheusConnect(
            url, headers=headers, retry=Retry(0), session=session, timeout=timeout
        )
        session.mount(url, _Adapter(self._sockets, timeout))  # in place of the one that the library mounts
        self._session = session

    def ask(self, query: str) -> Any:
        """The result of an instant query, as JSON. To be called in a thread.

        Raises `requests.RequestException` and `PrometheusApiClientException`, and what a program raises that finds
        other JSON than it expected.
        """
        return self._server.custom_query(query)

    def close(self) -> None:
        """Cuts the connection, from whatever thread; a question that waits on it fails at once."""
        self._sockets.cut()
        self._session.close()


class _Sockets:
    """The sockets of a line, each by a second descriptor, which stays valid whatever TLS does with the first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: list[socket.socket] = []
        self._is_cut = False

    def note(self, opened: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                opened.close()
                raise ConnectionAbortedError("the line was cut")
            self._open.append(opened.dup())

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            for one in self._open:
                with suppress(OSError):  # the other end has gone already
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._open.clear()


class _Adapter(HTTPAdapter):
    """Notes every socket, and reads no more than it should."""

    def __init__(self, sockets: _Sockets, timeout: float) -> None:
        self._sockets = sockets
        self._timeout = timeout
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = _pools(self._sockets)

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        response = super().send(request, stream=True, timeout=self._timeout, verify=True)
        body = bytearray()
        try:
            while len(body) <= LARGEST_ANSWER and (chunk := response.raw.read(_CHUNK, decode_content=False)):
                body += chunk
        except ReadTimeoutError as error:
            raise requests.ReadTimeout(error, request=request) from error
        except (HTTPError, OSError) as error:
            raise requests.ConnectionError(error, request=request) from error
        if len(body) > LARGEST_ANSWER:
            response.raw.close()
            raise AnswerTooLarge(request=request)
        response.raw = BytesIO(body)
        return response


def _pools(sockets: _Sockets) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, with connections that note their sockets before anything is said on them."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            sockets.note(opened)
            return opened

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            sockets.note(opened)
            return opened

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
