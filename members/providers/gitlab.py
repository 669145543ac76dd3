"""Repositories on a GitLab site: `quoted-namespace/ref`. Asks its commits API."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from pydantic import SecretStr
from yarl import URL

from members.core.model import Resolved, ResolveError, SpecError
from members.providers.ask import Service, ask, same_host
from members.providers.base import Tools, WebConfig, checked_ref, checked_spec
from members.providers.fields import WebUrl

_EXPECTED = "a percent-encoded project path and a ref, such as gitlab-org%2Fgitlab-foss/HEAD"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")


class GitLabConfig(WebConfig):
    """`providers.gl`."""

    hostname: str = "gitlab.com"
    api_url: WebUrl | None = None
    access_token: SecretStr | None = None
    private_token: SecretStr | None = None


class GitLab:
    """The provider `gl`. Raises what `members.service.ports.Provider` says."""

    id = "gl"
    name = "GitLab"
    head_fallback = False

    def __init__(self, config: GitLabConfig, tools: Tools) -> None:
        self._config = config
        self._service = Service("GitLab", tools.http, config.timeout)
        self._api_url = config.api_url or f"https://{config.hostname}/api/v4"

    async def resolve(self, spec: str) -> Resolved | None:
        namespace, ref = _split(spec)
        sha = await self._sha(quote(namespace, safe=""), quote(ref, safe=""))
        if sha is None:
            return None
        page = f"https://{self._config.hostname}/{namespace}"
        return Resolved(
            provider=self.id,
            spec=spec,
            repo_url=f"{page}.git",
            ref=sha,
            ref_url=f"{page}/tree/{sha}",
            resolved_spec=f"{quote(namespace, safe='')}/{sha}",
            build_slug=build_slug(namespace),
        )

    async def _sha(self, namespace: str, ref: str) -> str | None:
        url = URL(f"{self._api_url}/projects/{namespace}/repository/commits/{ref}", encoded=True)
        tokens = {"access_token": self._config.access_token, "private_token": self._config.private_token}
        query = {name: token.get_secret_value() for name, token in tokens.items() if token is not None}
        answer = await ask(self._service, url.update_query(query), admit=same_host(url))
        if answer.status == 404:
            return None
        commit = answer.required().document()
        sha = commit.get("id") if isinstance(commit, dict) else None
        if not isinstance(sha, str) or not re.fullmatch(r"[0-9a-f]{40,64}", sha):
            raise ResolveError("GitLab's answer names no commit")
        return sha

    def display(self) -> dict[str, object]:
        host = self._config.hostname
        return {
            "displayName": "GitLab",
            "id": self.id,
            "spec": {"validateRegex": "[^/]+/.+"},
            "detect": {"regex": f"^(https?://{host}/)?(?<repo>.*[^/])/?"},
            "repo": {
                "label": "GitLab repository name or URL",
                "placeholder": "example: https://gitlab.com/mosaik/examples/mosaik-tutorials-on-binder"
                " or mosaik/examples/mosaik-tutorials-on-binder",
                "urlEncode": True,
            },
            "ref": {"enabled": True, "default": "HEAD"},
        }


def build_slug(namespace: str) -> str:
    """What image names are made of, as BinderHub makes it: a `-` of the project's own is marked by a `_`."""
    return "-".join(part.replace("-", "_-") for part in namespace.split("/"))


def _split(spec: str) -> tuple[str, str]:
    quoted, slash, quoted_ref = checked_spec(spec, _EXPECTED).partition("/")
    namespace = unquote(quoted).strip("/").removesuffix(".git")
    parts = namespace.split("/")
    if not slash or len(parts) < 2:
        raise SpecError(f"{spec!r} is not a GitLab spec; expected {_EXPECTED}.")
    for part in parts:
        if not _NAME.fullmatch(part):
            raise SpecError(f"{part!r} in {spec!r} is not a GitLab name; expected {_EXPECTED}.")
    return namespace, checked_ref(unquote(quoted_ref))
