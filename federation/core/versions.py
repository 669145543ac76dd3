"""Which launches are of one version of a repository, and which version a member's events tell of. Resolves nothing.

A version is a repository and the commit that a ref of it means now; images are made of versions. Where the
commit is not known, a ref is taken by how it is spelled. What has no refs, such as a DOI, is its own version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from federation.core.errors import LaunchError
from federation.core.launchkey import parse_spec
from federation.core.model import Launch
from federation.core.phases import phase_of
from federation.core.providers import BY_ID

Event = Mapping[str, Any]

LONGEST_REF = 255
BUILT_HERE = (
    "Built image"  # how a member begins when it made the image itself; else it only knows where it is
)

_COMMIT = re.compile(r"[0-9a-f]{40}")
# What git-check-ref-format forbids, as far as it could be read as more than a name, and never an option.
_REF = re.compile(r"[^\x00-\x20\x7f?*\[~^:#\\/-][^\x00-\x20\x7f?*\[~^:#\\]*")
_PROJECT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*(/[A-Za-z0-9_.][A-Za-z0-9_.-]*)+")
_NEWEST_OF_A_GIST = frozenset({"", "HEAD", "master", "main"})
_NO_IMAGE = re.compile(
    r"could not be pulled|is not on this member|failed to pull image|back-off pulling image|errimagepull"
    r"|imagepullbackoff|no such image|manifest unknown",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Lookup:
    """How git is asked what a ref means: the repository's URL, and full names of refs. The first of them that
    exists is meant; `^{}` at the end of one stands for the commit that a tag object points at."""

    url: str
    names: tuple[str, ...]


def version_key(launch: Launch, commit: str | None = None) -> str:
    """The same for launches of one version: by commit where it is given or the spec itself has it, else by
    spelling.

    Like the repository key, it takes spellings of a repository's name as one, of which members make an image
    each: for who follows it, a rare second image on the same member.
    """
    commit = commit or pinned(launch)
    return spelling(launch) if commit is None else f"{launch.repo_key}@{commit}"


def spelling(launch: Launch) -> str:
    """The repository's key and its ref as it is written there, decoded."""
    ref = _parts(launch.provider, launch.spec)[1]
    return f"{launch.repo_key}/{ref}" if ref else launch.repo_key


def pinned(launch: Launch) -> str | None:
    """The commit that the spec itself names in full, which members take as it is."""
    ref = _parts(launch.provider, launch.spec)[1]
    return ref if _COMMIT.fullmatch(ref) else None


def lookup(launch: Launch) -> Lookup | None:
    """How git would be asked for this launch's ref, None when it cannot be: a full commit, no git repository.

    Members ask GitHub, GitLab and gists for the commit, and get it for tags that are objects too; of any other
    git repository they take what the ref itself names.
    """
    repo, ref = _parts(launch.provider, launch.spec)
    if _COMMIT.fullmatch(ref) or not _askable(ref) or (launch.provider == "gist" and ref != "HEAD"):
        return None
    url = _url(launch.provider, repo)
    if url is None:
        return None
    peeled = () if launch.provider == "git" else (f"refs/tags/{ref}^{{}}",)
    return Lookup(url, (ref, f"refs/heads/{ref}", *peeled, f"refs/tags/{ref}", f"refs/{ref}"))


def told_image(event: Event) -> str | None:
    """The image that a `built` or `ready` event names."""
    if phase_of(event) not in ("built", "ready"):
        return None
    image = event.get("imageName", event.get("image"))
    return image if isinstance(image, str) and image else None


def told_request(event: Event) -> Launch | None:
    """The launch that a `ready` event tells to be the same for ever: its provider, and its spec at the commit."""
    request = event.get("binder_persistent_request")
    if phase_of(event) != "ready" or not isinstance(request, str):
        return None
    try:
        return parse_spec(request)
    except LaunchError:
        return None


def told_commit(launch: Launch, event: Event) -> str | None:
    """The commit that a member's event tells this launch to be of: by its permanent request, or by the tag of
    its image, which comes earlier."""
    if not BY_ID[launch.provider].has_ref:
        return None
    request = told_request(event)
    if request is not None and request.repo_key == launch.repo_key:
        commit = pinned(request)
        if commit is not None:
            return commit
    _, _, tag = (told_image(event) or "").rpartition(":")
    return tag if _COMMIT.fullmatch(tag) else None


def tells_of_holding(event: Event) -> bool:
    """Whether the member that sent this holds the image from now on: it has made it, or runs it.

    One that has merely found it knows that it is in the registry, as every other member may.
    """
    match phase_of(event):
        case "ready":
            return True
        case _:
            return tells_of_making(event)


def tells_of_making(event: Event) -> bool:
    """Whether the member that sent this has made the image itself, for this launch among others."""
    message = event.get("message")
    return phase_of(event) == "built" and isinstance(message, str) and message.startswith(BUILT_HERE)


def tells_of_missing(event: Event) -> bool:
    """Whether the member that sent this could not get at the image when it was to start it.

    Kubernetes tells it while the launch goes on, for it tries again; others when it has failed.
    """
    if phase_of(event) not in ("launching", "failed", "failure"):
        return False
    message = event.get("message")
    return isinstance(message, str) and _NO_IMAGE.search(message) is not None


@lru_cache(maxsize=1024)  # asked several times for each launch
def _parts(provider_id: str, spec: str) -> tuple[str, str]:
    """Repository and ref, decoded. The ref is empty where there is none, and HEAD where one goes without
    saying."""
    provider = BY_ID[provider_id]
    spec = spec.strip("/")
    if not provider.has_ref:
        return unquote(spec), ""
    cuts = 1 if provider.display["repo"]["urlEncode"] else 2
    parts = spec.split("/", cuts)
    repo, ref = "/".join(parts[:cuts]), unquote("/".join(parts[cuts:])).strip("/")
    if provider.ref_optional and ref in _NEWEST_OF_A_GIST:
        ref = "HEAD"
    return unquote(repo), ref


def _askable(ref: str) -> bool:
    """Whether git could have a ref of this name, and would take it for nothing else."""
    return len(ref) <= LONGEST_REF and ".." not in ref and _REF.fullmatch(ref) is not None


def _url(provider: str, repo: str) -> str | None:
    """Where git finds the repository. The hosts are those that the providers are named after: a member that is
    set up for another one resolves there, and tells so."""
    if provider == "git":
        return repo if "://" in repo else None
    name = repo.strip("/").removesuffix(".git")
    if not _PROJECT.fullmatch(name) or ".." in name:
        return None
    match provider:
        case "gh":
            return f"https://github.com/{name}"
        case "gl":
            return f"https://gitlab.com/{name}.git"
        case "gist":
            return f"https://gist.github.com/{name.partition('/')[2]}.git"
        case _:
            return None
