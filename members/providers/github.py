"""Repositories on GitHub: `user/repo/ref`. Asks GitHub's commits API and remembers what it said."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import OrderedDict
from typing import Annotated, TypeVar
from urllib.parse import quote, unquote

import aiohttp
from pydantic import AfterValidator, SecretStr

from members.core.facts import RateLimit
from members.core.model import Resolved, ResolveError, SpecError
from members.providers.base import ProviderConfig, Tools, checked_ref, checked_spec

_EXPECTED = "user/repository/ref, such as binder-examples/requirements/HEAD"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_REMEMBERED = 1024  # commits and misses each, the least recently used ones give way
_MISS_LIFETIME = 300.0  # seconds for which GitHub's 404 is believed
_TIMEOUT = 20.0  # seconds for one answer, body included
_LARGEST_ANSWER = 16 * 1024**2  # bytes; a commit of many files comes with all its patches
T = TypeVar("T")
_NO_SUCH_COMMIT = frozenset({404, 422})  # 422: the API's word for a ref that it cannot find


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#]*)?", url):
        raise ValueError("expected an http or https URL without query, such as https://api.github.com")
    return url.rstrip("/")


class GitHubConfig(ProviderConfig):
    """`providers.gh`."""

    hostname: str = "github.com"
    api_url: Annotated[str, AfterValidator(_http_url)] = "https://api.github.com"
    access_token: SecretStr | None = None


class GitHub:
    """The provider `gh`. Raises what `members.service.ports.Provider` says."""

    id = "gh"
    name = "GitHub"
    head_fallback = True  # master or main may be missing: repositories have renamed their default branch

    def __init__(self, config: GitHubConfig, tools: Tools) -> None:
        self._config = config
        self._tools = tools
        self._commits: OrderedDict[str, tuple[str, str]] = OrderedDict()  # url: (etag, sha)
        self._misses: OrderedDict[str, float] = OrderedDict()  # url: monotonic time of the 404

    async def resolve(self, spec: str) -> Resolved | None:
        user, repo, ref = _split(spec)
        url = f"{self._config.api_url}/repos/{user}/{repo}/commits/{quote(ref, safe='/')}"
        sha = await self._sha(url)
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

    async def _sha(self, url: str) -> str | None:
        missed = self._misses.get(url)
        if missed is not None and time.monotonic() - missed < _MISS_LIFETIME:
            return None
        known = self._commits.get(url)
        headers = {"User-Agent": "BinderHub", "Accept": "application/vnd.github+json"}
        if self._config.access_token is not None:
            headers["Authorization"] = f"token {self._config.access_token.get_secret_value()}"
        if known is not None:
            headers["If-None-Match"] = known[0]
        try:
            async with asyncio.timeout(_TIMEOUT), self._tools.http.get(url, headers=headers) as answer:
                self._tell_rate_limit(answer)
                if answer.status == 304 and known is not None:
                    self._commits.move_to_end(url)
                    return known[1]
                return await self._read(url, answer)
        except TimeoutError as error:
            raise ResolveError(f"GitHub did not answer within {_TIMEOUT:.0f} seconds") from error
        except aiohttp.ClientError as error:
            raise ResolveError(f"GitHub could not be reached ({type(error).__name__})") from error

    async def _read(self, url: str, answer: aiohttp.ClientResponse) -> str | None:
        if answer.status in _NO_SUCH_COMMIT:
            if answer.status == 404:
                _remember(self._misses, url, time.monotonic())
            return None
        if answer.status == 403 and answer.headers.get("x-ratelimit-remaining") == "0":
            raise ResolveError(_rate_limit_message(answer))
        if answer.status != 200:
            raise ResolveError(f"HTTP {answer.status}: {answer.reason or 'unexpected answer'}")
        sha = _commit_sha(await _bounded_body(answer))
        etag = answer.headers.get("ETag")
        if etag is not None:
            _remember(self._commits, url, (etag, sha))
        self._misses.pop(url, None)
        return sha

    def _tell_rate_limit(self, answer: aiohttp.ClientResponse) -> None:
        remaining = answer.headers.get("x-ratelimit-remaining", "")
        if remaining.isdecimal():
            self._tools.tell(RateLimit(int(remaining)))

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


def _remember(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _REMEMBERED:
        kept.popitem(last=False)


def _rate_limit_message(answer: aiohttp.ClientResponse) -> str:
    """GitHub's `x-ratelimit-reset` is epoch seconds; told in the next full five minutes."""
    reset = answer.headers.get("x-ratelimit-reset", "")
    wait = max(0, int(reset) - int(time.time())) if reset.isdecimal() else 3600
    minutes = 5 * (1 + wait // 60 // 5)
    return f"GitHub rate limit exceeded. Try again in {minutes} minutes."


async def _bounded_body(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(65536):
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise ResolveError(f"GitHub's answer is larger than {_LARGEST_ANSWER} bytes")
    return bytes(body)


def _commit_sha(body: bytes) -> str:
    try:
        commit = json.loads(body)
    except ValueError as error:
        raise ResolveError("GitHub's answer is not JSON") from error
    sha = commit.get("sha") if isinstance(commit, dict) else None
    if not isinstance(sha, str) or not re.fullmatch(r"[0-9a-f]{40,64}", sha):
        raise ResolveError("GitHub's answer names no commit")
    return sha
