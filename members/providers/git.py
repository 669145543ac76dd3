"""Repositories at any git URL: `quoted-url/ref`. Asks with `git ls-remote`; knows no hosting site."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

from members.core.model import Resolved, ResolveError, SpecError
from members.providers.base import ProviderConfig, Tools, checked_ref, checked_spec, is_full_sha
from members.providers.fields import Duration, Folder
from members.providers.giturl import checked_url
from members.providers.lsremote import LsRemoteFailed, ls_remote

_EXPECTED = "a percent-encoded URL and a ref, such as https%3A%2F%2Fgit.example.org%2Frepo/HEAD"


class GitConfig(ProviderConfig):
    """`providers.git`."""

    enabled: bool = True
    protocols: tuple[Literal["http", "https", "git", "ssh", "file"], ...] = ("http", "https", "git", "ssh")
    file_roots: tuple[Folder, ...] = ()
    timeout: Duration = 30.0  # of one git ls-remote


class Git:
    """The provider `git`. Raises what `members.service.ports.Provider` says."""

    id = "git"
    name = "Git"
    head_fallback = False

    def __init__(self, config: GitConfig, tools: Tools) -> None:
        self._config = config

    async def resolve(self, spec: str) -> Resolved | None:
        quoted, slash, quoted_ref = checked_spec(spec, _EXPECTED).partition("/")
        if not slash:
            raise SpecError(f"{spec!r} is not a git spec; expected {_EXPECTED}.")
        url = checked_url(unquote(quoted), self._config.protocols, self._config.file_roots)
        ref = checked_ref(unquote(quoted_ref))
        sha = ref if is_full_sha(ref) else await self._look_up(url, ref)
        if sha is None:
            return None
        return Resolved(
            provider=self.id,
            spec=spec,
            repo_url=url,
            ref=sha,
            ref_url=url,
            resolved_spec=f"{quoted}/{sha}",
            build_slug=url,
        )

    async def _look_up(self, url: str, ref: str) -> str | None:
        try:
            found = await ls_remote(url, ref, protocols=self._config.protocols, timeout=self._config.timeout)
        except LsRemoteFailed as error:
            raise ResolveError(f"Unable to run git ls-remote to get the `resolved_ref`: {error}") from error
        return choose(found, ref)

    def display(self) -> dict[str, object]:
        return {
            "displayName": "Git repository",
            "id": self.id,
            "spec": {"validateRegex": "[^/]+/.+"},
            "repo": {
                "label": "Arbitrary git repository URL",
                "placeholder": "example: http://git.example.com/repo",
                "urlEncode": True,
            },
            "ref": {"enabled": True, "default": "HEAD"},
        }


def choose(listing: str, ref: str) -> str | None:
    """The object that `ref` means in the output of `git ls-remote URL REF`; None when it is not there.

    `ls-remote` matches the end of names, so asking for `main` also lists `refs/heads/old/main`, and may list
    it first: an exact name wins over the first line, a branch over a tag.
    """
    named: dict[str, str] = {}
    for line in listing.splitlines():
        sha, _, name = line.partition("\t")
        if re.fullmatch(r"[0-9a-f]{40,64}", sha):
            named.setdefault(name, sha)
    for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}"):
        if name in named:
            return named[name]
    return next(iter(named.values()), None)
