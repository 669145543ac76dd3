"""Articles on figshare: a DOI. Asks where the DOI leads to and figshare's API for its newest version."""

from __future__ import annotations

import re

from yarl import URL

from members.core.model import Resolved, ResolveError, SpecError
from members.providers import doi
from members.providers.ask import Service, admitted, ask, listed, next_hop, same_host
from members.providers.base import Tools
from members.providers.doi import DoiConfig, checked_doi, doi_url, public_url
from members.providers.fields import Host, WebUrl

_EXAMPLE = "10.6084/m9.figshare.9782777.v1"
_ARTICLE = re.compile(r"(?P<before>.*?)(?P<id>\d{1,20})(\.v(?P<version>\d{1,6}))?")


class FigshareConfig(DoiConfig):
    """`providers.figshare`."""

    hosts: tuple[Host, ...] = ("figshare.com", "www.figshare.com")
    api_url: WebUrl = "https://api.figshare.com/v2"


class Figshare:
    """The provider `figshare`. Raises what `members.service.ports.Provider` says."""

    id = "figshare"
    name = "Figshare"
    head_fallback = False

    def __init__(self, config: FigshareConfig, tools: Tools) -> None:
        self._config = config
        self._doi = Service("doi.org", tools.http, config.timeout)
        self._api = Service("Figshare", tools.http, config.timeout)

    async def resolve(self, spec: str) -> Resolved | None:
        asked = checked_doi(spec, _EXAMPLE)
        parts = _ARTICLE.fullmatch(asked)
        if parts is None:
            raise SpecError(f"{spec!r} names no article of figshare's; expected a DOI such as {_EXAMPLE}.")
        await self._require_article(asked, parts["id"])
        version = parts["version"] or await self._newest(parts["id"])
        ref = f"{parts['id']}.v{version}"
        resolved = f"{parts['before']}{ref}"
        return Resolved(
            provider=self.id,
            spec=spec,
            repo_url=asked,
            ref=ref,
            ref_url=public_url(resolved),
            resolved_spec=resolved,
            build_slug=f"figshare-{ref}",
            is_git=False,
        )

    async def _require_article(self, asked: str, article: str) -> None:
        """The DOI must lead to the article whose number it ends in.

        Else another site's DOI with that number could give its contents this article's image name.
        """
        target = await next_hop(self._doi, doi_url(self._config, asked))
        admitted(self._doi, target, listed(self._config.hosts))
        if article not in target.path.split("/"):
            raise ResolveError(f"{asked} does not lead to the article {article}")

    async def _newest(self, article: str) -> int:
        url = URL(f"{self._config.api_url}/articles/{article}/versions")
        versions = (await ask(self._api, url, admit=same_host(url))).required().document()
        entries = versions if isinstance(versions, list) else []
        numbers = [entry.get("version") for entry in entries if isinstance(entry, dict)]
        known = [number for number in numbers if type(number) is int and 0 < number < 10**6]
        if not known:
            raise ResolveError(f"Figshare's answer names no version of the article {article}")
        return max(known)

    def display(self) -> dict[str, object]:
        return doi.display(self.id, "FigShare DOI", _EXAMPLE)
