"""Repositories on GitHub: `user/repo/ref`. Asks GitHub's commits API."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from members.core.model import Resolved, ResolveError, SpecError
from members.providers.base import Tools, checked_ref, checked_spec
from members.providers.githubapi import GitHubApi, GitHubApiConfig

_EXPECTED = "user/repository/ref, such as binder-examples/requirements/HEAD"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class GitHubConfig(GitHubApiConfig):
    """`providers.gh`."""

    enabled: bool = True
    hostname: str = "github.com"


class GitHub:
    """The provider `gh`. Raises what `members.service.ports.Provider` says."""

    id = "gh"
    name = "GitHub"
    head_fallback = True  # master or main may be missing: repositories have renamed their default branch

    def __init__(self, config: GitHubConfig, tools: Tools) -> None:
        self._config = config
        self._api = GitHubApi(config, tools, _commit_sha)

    async def resolve(self, spec: str) -> Resolved | None:
        user, repo, ref = _split(spec)
        sha = await self._api.get(f"/repos/{user}/{repo}/commits/{quote(ref, safe='/')}")
        if sha is None:
            return None
        repo_url = f"https://{self._config.hostname}/{user}/{repo}"
        return Resolved(
            provider=self.id,
            spec=spec,
            repo_url=repo_url,
            ref=sha,
            ref_url=f"{repo_url}/tree/{sha}",
            resolved_spec=f"{user}/{repo}/{sha}",
            build_slug=f"{user}-{repo}",
        )

    def display(self) -> dict[str, object]:
        host = self._config.hostname
        return {
            "displayName": "GitHub",
            "id": self.id,
            "spec": {"validateRegex": "[^/]+/[^/]+/.+"},
            "detect": {"regex": f"^(https?://{host}/)?(?<repo>.*[^/])/?"},
            "repo": {
                "label": "GitHub repository name or URL",
                "placeholder": "example: binder-examples/requirements"
                " or https://github.com/binder-examples/requirements",
                "urlEncode": False,
            },
            "ref": {"enabled": True, "default": "HEAD"},
        }


def _split(spec: str) -> tuple[str, str, str]:
    parts = checked_spec(spec, _EXPECTED).split("/", 2)
    if len(parts) != 3:
        raise SpecError(f"{spec!r} is not a GitHub spec; expected {_EXPECTED}.")
    user, repo, ref = parts[0], parts[1].removesuffix(".git"), unquote(parts[2])
    for name in (user, repo):
        if not _NAME.fullmatch(name) or name in (".", ".."):
            raise SpecError(f"{name!r} in {spec!r} is not a GitHub name; expected {_EXPECTED}.")
    return user, repo, checked_ref(ref)


def _commit_sha(commit: object) -> str:
    sha = commit.get("sha") if isinstance(commit, dict) else None
    if not isinstance(sha, str) or not re.fullmatch(r"[0-9a-f]{40,64}", sha):
        raise ResolveError("GitHub's answer names no commit")
    return sha
