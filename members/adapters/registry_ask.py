"""One HTTP question with a time limit and a bounded answer; its failures sorted by what may help. Knows no registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from members.core.model import RegistryDown, RegistryState

_LONGEST = 8 * 1024 * 1024  # bytes of an answer; manifests are limited to 4 MiB
_REDIRECTS = 5
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


class TryAgain(RegistryDown):
    """The same question may be answered soon; `after` seconds if the server said when."""

    def __init__(self, message: str, state: RegistryState, after: float | None = None) -> None:
        super().__init__(message, state)
        self.after = after


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read to its end. `url` is where it came from in the end."""

    status: int
    headers: Mapping[str, str]
    challenges: tuple[str, ...]
    body: bytes
    url: str


async def ask(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    limit: float,
    data: bytes | None = None,
) -> Reply:
    """Asks once. Raises TryAgain for 408, 429, 5xx and broken connections, RegistryDown where a repeat is in vain.

    aiohttp drops the Authorization header when a redirect leads to another origin.
    """
    where = URL(url).origin() if "://" in url else url
    try:
        async with http.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=data,
            timeout=aiohttp.ClientTimeout(total=limit),
            max_redirects=_REDIRECTS,
        ) as response:
            if response.status in _BUSY or response.status >= 500:
                raise _busy(response, where)
            body = b""
            async for piece in response.content.iter_chunked(65536):
                body += piece
                if len(body) > _LONGEST:
                    raise RegistryDown(f"{where} answers without end", RegistryState.FAILING)
            wanted = tuple(response.headers.getall("WWW-Authenticate", ()))
            return Reply(response.status, response.headers, wanted, body, str(response.url))
    except TimeoutError as error:
        raise TryAgain(f"{where} did not answer in time", RegistryState.UNREACHABLE) from error
    except aiohttp.TooManyRedirects as error:
        raise RegistryDown(f"{where} redirects for ever", RegistryState.NOT_A_REGISTRY) from error
    except aiohttp.ClientSSLError as error:
        raise RegistryDown(
            f"{where}: no trusted TLS connection: {error}", RegistryState.UNREACHABLE
        ) from error
    except (aiohttp.ClientConnectionError, OSError) as error:
        raise TryAgain(f"{where} cannot be reached: {_plain(error)}", RegistryState.UNREACHABLE) from error
    except aiohttp.ClientPayloadError as error:
        raise TryAgain(f"{where} broke off its answer", RegistryState.FAILING) from error
    except (aiohttp.ClientError, HttpProcessingError, ValueError) as error:
        raise RegistryDown(
            f"{where} answered something that is no HTTP: {type(error).__name__}",
            RegistryState.NOT_A_REGISTRY,
        ) from error


def _busy(response: aiohttp.ClientResponse, where: object) -> TryAgain:
    state = RegistryState.LIMITED if response.status == 429 else RegistryState.FAILING
    after = response.headers.get("Retry-After", "")
    return TryAgain(
        f"{where} answered status {response.status}", state, float(after) if after.isdecimal() else None
    )


def _plain(error: BaseException) -> str:
    """What an operator can use of an error: `str` of aiohttp's own has its internals in it."""
    reason = getattr(error, "os_error", error)
    return getattr(reason, "strerror", None) or type(reason).__name__
