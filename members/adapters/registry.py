"""The registry that a federation shares: is an image there, how does it stand, who pushes and pulls.

Knows the table of kinds and none of their ways.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp

from members.adapters.registry_auth import Login
from members.adapters.registry_distribution import Distribution
from members.adapters.registry_google import METADATA, GoogleLogin
from members.adapters.registry_helper import Helper
from members.adapters.registry_logins import DockerConfig
from members.adapters.registry_wire import Wire
from members.core import imageref
from members.core.facts import Note, Tell
from members.core.imageref import ImageRef
from members.core.model import Credentials, RegistryDown, RegistryState

__all__ = ["KINDS", "Place", "Registry", "RegistryDown", "open_registry"]

_GOOGLE_HOSTS = (".pkg.dev", ".gcr.io")
_PROBE = "some-image-name:12345"  # what BinderHub's own health check looks for under the prefix


@dataclass(frozen=True, slots=True)
class Place:
    """A registry as an operator describes it; the keys of `registry` in config/member.yaml say what each means."""

    kind: str
    url: str
    image_prefix: str
    docker_config: Path
    cache: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token_url: str | None = None
    helper_token: str | None = field(default=None, repr=False)
    not_found_401: bool | None = None
    timeout: float = 10.0


class Lookup(Protocol):
    """What differs from kind to kind."""

    async def has(self, ref: ImageRef) -> bool: ...

    async def check(self, ref: ImageRef) -> RegistryState: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """One kind at one place: lookups, whose credentials go with an image, and its API where it has one."""

    lookup: Lookup
    credentials: Callable[[ImageRef], Awaitable[Credentials | None]]
    wire: Wire | None


def _distribution(place: Place, http: aiohttp.ClientSession) -> Opened:
    config = DockerConfig(place.docker_config)
    host = imageref.host_of(place.url)

    async def login() -> Credentials | None:
        if place.username is not None and place.password is not None:
            return Credentials(place.username, place.password, imageref.config_key(host))
        return await config.credentials(host) or await config.credentials(_named_host(place))

    return _over_api(place, http, login, place.token_url, {host, _named_host(place)})


def _google(place: Place, http: aiohttp.ClientSession) -> Opened:
    """`token_url` is the metadata server's here: the registry itself says where its bearer tokens come from."""
    login = GoogleLogin(http, imageref.host_of(place.url), place.token_url or METADATA)
    own = {imageref.host_of(place.url), _named_host(place)}
    if place.cache is not None and (cache := imageref.host_of(place.cache)).endswith(_GOOGLE_HOSTS):
        own.add(cache)
    return _over_api(place, http, login, None, own)


def _helper(place: Place, http: aiohttp.ClientSession) -> Opened:
    async def nobody() -> None:
        return None

    helper = Helper(Wire(http, place.url, nobody, timeout=place.timeout), place.helper_token or "")
    return Opened(helper, helper.credentials, None)


def _named_host(place: Place) -> str:
    """The host that images are named after; the registry's URL may be another way to the same place."""
    return imageref.parse(f"{place.image_prefix}x").host


def _over_api(
    place: Place, http: aiohttp.ClientSession, login: Login, token_url: str | None, own: Collection[str]
) -> Opened:
    """`own` are the hosts that get the credentials of `login`."""
    url = imageref.api_url(place.url)
    wire = Wire(http, url, login, timeout=place.timeout, token_url=token_url)
    hub = imageref.host_of(url) == imageref.HUB
    hides_missing = hub if place.not_found_401 is None else place.not_found_401
    config = DockerConfig(place.docker_config)

    async def credentials(ref: ImageRef) -> Credentials | None:
        """The registry's under all its names; of any other host, a cache's too, what Docker's own file says."""
        if ref.host not in own:
            return await config.credentials(ref.host)
        found = await login()
        if found is None:
            return None
        return Credentials(found.username, found.password, imageref.config_key(ref.host))

    return Opened(Distribution(wire, hides_missing=hides_missing), credentials, wire)


KINDS: Mapping[str, Callable[[Place, aiohttp.ClientSession], Opened]] = {
    "distribution": _distribution,
    "google": _google,
    "helper": _helper,
}


class Registry:
    """One registry, in use. Tells its listeners when its state changes, and only then."""

    def __init__(self, place: Place, http: aiohttp.ClientSession, tell: Tell) -> None:
        self._place = place
        self._opened = KINDS[place.kind](place, http)
        self._tell = tell
        self.state: RegistryState | None = None

    @property
    def wire(self) -> Wire | None:
        """The registry's API for those who list and delete; None for a kind that has none."""
        return self._opened.wire

    async def has(self, image: str) -> bool:
        """Whether the registry has an image, of whatever type. Raises RegistryDown without a clear yes or no."""
        return await self._opened.lookup.has(imageref.parse(image))

    async def check(self) -> bool:
        """Whether images can be had from it, and brought to it unless it is read-only for now. Never raises."""
        try:
            state = await self._opened.lookup.check(imageref.parse(f"{self._place.image_prefix}{_PROBE}"))
            said = ""
        except RegistryDown as error:
            state, said = error.state, f": {error}"
        if state is not self.state:
            self.state = state
            self._tell(Note(f"The registry {self._place.url} is {state}{said}"))
        return state in (RegistryState.READY, RegistryState.READ_ONLY)

    async def credentials(self, image: str) -> Credentials | None:
        """What to push or pull an image with; None is anonymous. Raises RegistryDown when they cannot be had."""
        return await self._opened.credentials(imageref.parse(image))

    def pull_name(self, image: str) -> str:
        """The name to pull an image by: the pull-through cache's if there is one. Then tag it with its own."""
        return imageref.through_cache(image, self._place.cache)


@asynccontextmanager
async def open_registry(place: Place, tell: Tell) -> AsyncIterator[Registry]:
    """A registry with connections of its own, closed at the end."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield Registry(place, http, tell)
