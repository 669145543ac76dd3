"""One bounded question to a web service. Knows no service: who is asked, and where it may send on, are arguments.

Every answer has a limit of time, size and redirects; whatever goes wrong is a ResolveError in plain words that
names the service and never its URL, which can hold a token.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from members.core.model import ResolveError
from members.providers.outward import NotPublic

AGENT = "BinderHub"  # what services know this kind of client as
_REDIRECTS = 8  # a DOI takes two to four to its landing page
_LARGEST_ANSWER = 16 * 1024**2  # bytes; a commit of many files comes with all its patches
_MOVED = frozenset({301, 302, 303, 307, 308})
_NO_OTHER = aiohttp.ClientTimeout(total=None)  # the limit here counts all redirects together
Admit = Callable[[URL], bool]


@dataclass(frozen=True, slots=True)
class Service:
    """Who is asked: its name in messages, the session that may reach it, and its time limit in seconds."""

    name: str
    http: aiohttp.ClientSession
    timeout: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, from `url` after all redirects. Header names are looked up without regard to case."""

    service: str
    url: URL
    status: int
    reason: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def document(self) -> object:
        """The body as JSON. Raises ResolveError."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise ResolveError(f"{self.service}'s answer is not JSON") from error

    def required(self) -> Answer:
        """This answer, if its status is 200. Raises ResolveError."""
        if self.status != 200:
            raise ResolveError(f"HTTP {self.status}: {self.reason or 'unexpected answer'}")
        return self


async def ask(
    service: Service, url: URL, *, admit: Admit, headers: Mapping[str, str] | None = None
) -> Answer:
    """The answer to a GET, whatever its status. Redirects lead to what `admit` admits. Raises ResolveError."""
    async with _limits(service), _arrived(service, url, admit, headers or {}) as answer:
        body = bytearray()
        async for chunk in answer.content.iter_chunked(65536):
            body += chunk
            if len(body) > _LARGEST_ANSWER:
                raise ResolveError(f"{service.name}'s answer is larger than {_LARGEST_ANSWER} bytes")
        return _answer(service, answer, bytes(body))


async def locate(service: Service, url: URL, *, admit: Admit) -> Answer:
    """As `ask`, for who wants to know only where redirects end: the body is not read."""
    async with _limits(service), _arrived(service, url, admit, {}) as answer:
        return _answer(service, answer, b"")


async def next_hop(service: Service, url: URL) -> URL:
    """Where a GET is redirected to, without going there. Raises ResolveError when it is not redirected."""
    async with _limits(service), _got(service, url, {}) as answer:
        target = _target(service, answer)
        if target is None:
            _answer(service, answer, b"").required()
            raise ResolveError(f"{service.name} leads nowhere from here")
        return target


def admitted(service: Service, url: URL, admit: Admit) -> URL:
    """The URL itself, if `admit` admits it. Raises ResolveError."""
    if not admit(url):
        raise ResolveError(f"{service.name} leads to {authority(url)}, where this member does not look")
    return url


def same_host(url: URL) -> Admit:
    """Admits redirects that stay where the operator's configuration points to."""
    secure = url.with_scheme("https").with_port(None)
    return lambda target: target.origin() in (url.origin(), secure.origin())


def anywhere(target: URL) -> bool:
    """Admits every host; for a session that reaches public addresses only."""
    return True


def listed(hosts: tuple[str, ...]) -> Admit:
    """Admits the hosts of a list, each with its port unless that is the scheme's own."""
    return lambda target: authority(target) in hosts


def authority(url: URL) -> str:
    """`host`, or `host:port` where the port is not the scheme's own; in lower case."""
    host = (url.host or "").lower()
    return host if url.is_default_port() else f"{host}:{url.port}"


@asynccontextmanager
async def _limits(service: Service) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(service.timeout):
            yield
    except TimeoutError as error:
        raise ResolveError(f"{service.name} did not answer within {service.timeout:g} seconds") from error
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, NotPublic):
            raise ResolveError(f"{service.name} would be at an address that is not public") from error
        raise ResolveError(f"{service.name} could not be reached ({type(error).__name__})") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ResolveError(f"{service.name} could not be reached ({type(error).__name__})") from error


@asynccontextmanager
async def _arrived(
    service: Service, url: URL, admit: Admit, headers: Mapping[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The first answer that is no redirect. Only the first host sees the headers, which can hold a token."""
    at = url
    for _ in range(_REDIRECTS + 1):
        async with _got(service, at, headers if at.origin() == url.origin() else {}) as answer:
            target = _target(service, answer)
            if target is None:
                yield answer
                return
        at = admitted(service, target, admit)
    raise ResolveError(f"{service.name} redirects more than {_REDIRECTS} times")


@asynccontextmanager
async def _got(
    service: Service, url: URL, headers: Mapping[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    sent = {"User-Agent": AGENT, **headers}
    async with service.http.get(url, headers=sent, allow_redirects=False, timeout=_NO_OTHER) as answer:
        yield answer


def _target(service: Service, answer: aiohttp.ClientResponse) -> URL | None:
    """Where an answer sends on to; None when it does not."""
    location = answer.headers.get("Location")
    if answer.status not in _MOVED or location is None:
        return None
    try:
        target = answer.url.join(URL(location, encoded=True))
        fit = target.scheme in ("http", "https") and bool(target.host) and target.port is not None
        fit = fit and target.user is None and target.password is None
    except ValueError as error:
        raise ResolveError(f"{service.name} redirects to something that is no URL") from error
    if not fit:
        raise ResolveError(f"{service.name} redirects to something that is not on the web")
    return target


def _answer(service: Service, answer: aiohttp.ClientResponse, body: bytes) -> Answer:
    return Answer(service.name, answer.url, answer.status, answer.reason or "", answer.headers, body)
