"""Gists, small repositories on GitHub: `user/gist-id[/ref]`. Asks GitHub's gists API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from members.core.model import Resolved, ResolveError, SpecError
from members.providers.base import Tools, checked_ref, checked_spec, is_full_sha
from members.providers.githubapi import GitHubApi, GitHubApiConfig

_EXPECTED = "user/gist-id or user/gist-id/ref, such as octocat/8f7c2f0341ef4180b0dbe97f59130756"
_USER = re.compile(r"[A-Za-z0-9_-]{1,100}")
_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_NEWEST = frozenset({"", "HEAD", "master", "main"})


class GistConfig(GitHubApiConfig):
    """`providers.gist`."""

    hostname: str = "gist.github.com"
    allow_secret_gist: bool = False


@dataclass(frozen=True, slots=True)
class _Gist:
    """What the API knows of a gist. `versions` has the newest commit first; `owner` is empty for nobody's."""

    public: bool
    owner: str
    versions: tuple[str, ...]


class Gist:
    """The provider `gist`. Raises what `members.service.ports.Provider` says."""

    id = "gist"
    name = "Gist"
    head_fallback = False  # master and main mean the newest version here, whatever its branch is called

    def __init__(self, config: GistConfig, tools: Tools) -> None:
        self._config = config
        self._api = GitHubApi(config, tools, _gist)

    async def resolve(self, spec: str) -> Resolved | None:
        user, gist_id, ref = _split(spec)
        gist = await self._api.get(f"/gists/{gist_id}")
        if gist is None:
            return None
        self._require_allowed(user, gist_id, gist)
        sha = gist.versions[0] if ref in _NEWEST else ref
        if sha not in gist.versions:
            return None
        page = f"https://{self._config.hostname}/{user}/{gist_id}"
        return Resolved(
            provider=self.id,
            spec=spec,
            repo_url=f"{page}.git",
            ref=sha,
            ref_url=f"{page}/{sha}",
            resolved_spec=f"{user}/{gist_id}/{sha}",
            build_slug=gist_id,
        )

    def _require_allowed(self, user: str, gist_id: str, gist: _Gist) -> None:
        if not gist.public and not self._config.allow_secret_gist:
            raise ResolveError(f"{gist_id} is a secret gist, and this member launches public ones only")
        # The id alone finds a gist: rules about users would mean nothing if any user's name would do.
        ruled = self._config.banned_specs or self._config.allowed_specs
        if ruled and gist.owner and gist.owner.lower() != user.lower():
            raise ResolveError(f"the gist {gist_id} is {gist.owner}'s, not {user}'s; please change the link")

    def display(self) -> dict[str, object]:
        host = self._config.hostname
        return {
            "displayName": "GitHub Gist",
            "id": self.id,
            "spec": {"validateRegex": "[^/]+/[^/]+(/[^/]+)?"},
            "detect": {"regex": f"^(https?://{host}/)?(?<repo>.*[^/])/?"},
            "repo": {"label": "Gist ID (username/gistId) or URL", "placeholder": "", "urlEncode": False},
            "ref": {"enabled": True, "default": "HEAD"},
        }


def _split(spec: str) -> tuple[str, str, str]:
    parts = checked_spec(spec, _EXPECTED).split("/")
    if len(parts) not in (2, 3):
        raise SpecError(f"{spec!r} is not a gist's spec; expected {_EXPECTED}.")
    user, gist_id = parts[0], parts[1].removesuffix(".git")
    if not _USER.fullmatch(user) or not _ID.fullmatch(gist_id):
        raise SpecError(f"{spec!r} names no gist; expected {_EXPECTED}.")
    ref = unquote(parts[2]) if len(parts) == 3 else ""
    return user, gist_id, checked_ref(ref) if ref else ""


def _gist(document: object) -> _Gist:
    entry = document if isinstance(document, dict) else {}
    history, owner = entry.get("history"), entry.get("owner")
    versions = []
    for item in history if isinstance(history, list) else []:
        sha = item.get("version") if isinstance(item, dict) else None
        if not isinstance(sha, str) or not is_full_sha(sha):
            raise ResolveError("GitHub's answer has a version of the gist that is no commit")
        versions.append(sha)
    if not versions:
        raise ResolveError("GitHub's answer names no version of the gist")
    login = owner.get("login") if isinstance(owner, dict) else None
    return _Gist(entry.get("public") is True, login if isinstance(login, str) else "", tuple(versions))
