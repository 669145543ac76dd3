"""GitHub's web API, as much as `gh` and `gist` share: credentials, what is remembered, its rate limit.

Knows neither commits nor gists: what an answer means is a function that its caller gives.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import SecretStr
from yarl import URL

from members.core.facts import RateLimit
from members.core.model import ResolveError
from members.providers.ask import Answer, Service, ask, same_host
from members.providers.base import Tools, WebConfig
from members.providers.fields import WebUrl
from members.providers.memory import Memory

_REMEMBERED = 1024  # answers and misses each
_MISS_LIFETIME = 300.0  # seconds for which GitHub's 404 is believed
_UNKNOWN = frozenset({404, 422})  # 422: the API's word for a ref that it cannot find
T = TypeVar("T")


class GitHubApiConfig(WebConfig):
    """What every provider on GitHub's API can be told. A token wins over the credentials of an app."""

    api_url: WebUrl = "https://api.github.com"
    access_token: SecretStr | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None


class GitHubApi(Generic[T]):
    """Asks GitHub; answers are what `meaning` makes of a JSON document (ResolveError when it makes no sense).

    An answer with an ETag is asked for again only if it has changed, which costs nothing of the rate limit.
    """

    def __init__(self, config: GitHubApiConfig, tools: Tools, meaning: Callable[[object], T]) -> None:
        self._config = config
        self._tell = tools.tell
        self._meaning = meaning
        self._service = Service("GitHub", tools.http, config.timeout)
        self._known: Memory[tuple[str, T]] = Memory(_REMEMBERED, math.inf, time.monotonic)
        self._missed: Memory[bool] = Memory(_REMEMBERED, _MISS_LIFETIME, time.monotonic)

    async def get(self, path: str) -> T | None:
        """What the API says at an encoded path; None when it knows nothing of that. Raises ResolveError."""
        if self._missed.get(path):
            return None
        known = self._known.get(path)
        headers = {"Accept": "application/vnd.github+json"} | _credentials(self._config)
        if known is not None:
            headers["If-None-Match"] = known[0]
        url = URL(self._config.api_url + path, encoded=True)
        answer = await ask(self._service, url, admit=same_host(url), headers=headers)
        self._tell_rate_limit(answer)
        if answer.status == 304 and known is not None:
            return known[1]
        return self._read(path, answer)

    def _read(self, path: str, answer: Answer) -> T | None:
        if answer.status in _UNKNOWN:
            if answer.status == 404:
                self._missed.put(path, True)
            return None
        if answer.status in (403, 429) and answer.headers.get("x-ratelimit-remaining") == "0":
            raise ResolveError(_rate_limit_message(answer))
        value = self._meaning(answer.required().document())
        etag = answer.headers.get("ETag")
        if etag is not None:
            self._known.put(path, (etag, value))
        return value

    def _tell_rate_limit(self, answer: Answer) -> None:
        remaining = answer.headers.get("x-ratelimit-remaining", "")
        if remaining.isdecimal():
            self._tell(RateLimit(int(remaining)))


def _credentials(config: GitHubApiConfig) -> dict[str, str]:
    if config.access_token is not None:
        return {"Authorization": f"token {config.access_token.get_secret_value()}"}
    if config.client_id is not None and config.client_secret is not None:
        pair = f"{config.client_id}:{config.client_secret.get_secret_value()}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _rate_limit_message(answer: Answer) -> str:
    """GitHub's `x-ratelimit-reset` is epoch seconds; told in the next full five minutes."""
    reset = answer.headers.get("x-ratelimit-reset", "")
    wait = max(0, int(reset) - int(time.time())) if reset.isdecimal() else 3600
    minutes = 5 * (1 + wait // 60 // 5)
    return f"GitHub rate limit exceeded. Try again in {minutes} minutes."
