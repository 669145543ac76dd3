"""What every connection to a member has in common: no cookies, no proxies, no redirects, plain words for
errors. Knows neither probes nor streams."""

from __future__ import annotations

import os

import aiohttp


def open_session(
    timeout: aiohttp.ClientTimeout | None = None,
    answers: type[aiohttp.ClientResponse] = aiohttp.ClientResponse,
) -> aiohttp.ClientSession:
    """A session with connections of its own, so that one kind of traffic never waits for another."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=timeout or aiohttp.ClientTimeout(total=None),
        headers={"User-Agent": "binder-federation", "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
        raise_for_status=False,
        response_class=answers,
    )


def in_words(error: Exception) -> str:
    """A transport error without addresses, as the end of a sentence about a member."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "has no valid certificate"
        case aiohttp.ClientConnectorDNSError():
            return "has a host name that cannot be resolved"
        case ConnectionRefusedError():
            return "refused the connection"
        case aiohttp.ClientConnectorError():
            return _os_error(error.os_error)
        case aiohttp.ServerDisconnectedError() | ConnectionResetError():
            return "closed the connection"
        case aiohttp.ClientPayloadError():
            return "broke off its answer"
        case aiohttp.ClientResponseError() | ValueError():
            return "answered with what is not HTTP"
        case OSError():
            return _os_error(error)
        case _:
            return f"could not be asked ({type(error).__name__})"


def _os_error(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    reason = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "network error"
    return f"cannot be reached ({reason})"
