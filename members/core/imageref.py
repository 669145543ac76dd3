"""Where an image's name says that it lives, by Docker's own rule. Knows no registry and asks nobody."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"  # of Docker Hub in Docker's config.json
_HUB_HOSTS = frozenset({HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
_HUB_API = "https://registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class ImageRef:
    """`host` is `docker.io` for Docker Hub; `reference` is a tag or, with its algorithm, a digest."""

    host: str
    repository: str
    reference: str


def parse(image: str) -> ImageRef:
    """The parts of an image's name; without a tag it means `latest`.

    The first component is a host if it has a dot or a colon or is `localhost`: exactly where an engine pushes
    the image to. BinderHub guesses from the component's length instead and so loses the account of Docker Hub
    users with a dash or fewer than four characters; all other names come to the same result.
    """
    name, _, digest = image.partition("@")
    first, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    host, path = (hub_or(first), rest) if is_host else (HUB, name)
    repository, colon, tag = path.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = path, ""
    if host == HUB and "/" not in repository:
        repository = f"library/{repository}"
    return ImageRef(host, repository, digest or tag or "latest")


def hub_or(host: str) -> str:
    """Docker Hub's many names as one; any other host as it is."""
    return HUB if host.lower() in _HUB_HOSTS else host.lower()


def host_of(url: str) -> str:
    """The host of a URL or of a key of Docker's config.json, with its port; `docker.io` for Docker Hub."""
    return hub_or(urlsplit(url if "://" in url else f"//{url}").netloc.rpartition("@")[2])


def api_url(url: str) -> str:
    """Where the API of a registry is, without `/v2`: Docker Hub's is not at the host of its names."""
    return _HUB_API if host_of(url) == HUB else url.rstrip("/").removesuffix("/v2")


def config_key(host: str) -> str:
    """The key of a host in the `auths` of Docker's config.json."""
    return HUB_KEY if host == HUB else host


def through_cache(image: str, cache: str | None) -> str:
    """The name by which a member pulls an image: of the pull-through cache at the URL `cache`, if there is one.

    A path in that URL comes before the repository, as products want it that hold many caches under one host.
    """
    if cache is None:
        return image
    ref = parse(image)
    separator = "@" if ":" in ref.reference else ":"
    place = urlsplit(cache).netloc + urlsplit(cache).path.rstrip("/")
    return f"{place}/{ref.repository}{separator}{ref.reference}"
