"""Records on Zenodo: a DOI. Follows the DOI to the record it means now; knows nothing of what is in it."""

from __future__ import annotations

import re

from members.core.model import Resolved, ResolveError
from members.providers import doi
from members.providers.ask import Service, listed, locate
from members.providers.base import Tools
from members.providers.doi import DoiConfig, checked_doi, doi_url, public_url
from members.providers.fields import Host

_EXAMPLE = "10.5281/zenodo.3242074"
_RECORD = re.compile(r".*/records?/([A-Za-z0-9][A-Za-z0-9._-]{0,99})/?")
_NAME = re.compile("zenodo", re.IGNORECASE)


class ZenodoConfig(DoiConfig):
    """`providers.zenodo`. The hosts must not number their records alike: image names have the number alone."""

    hosts: tuple[Host, ...] = ("zenodo.org", "www.zenodo.org")


class Zenodo:
    """The provider `zenodo`. Raises what `members.service.ports.Provider` says.

    The DOI of a whole record leads to its newest version, so the record must be looked up every time.
    """

    id = "zenodo"
    name = "Zenodo"
    head_fallback = False

    def __init__(self, config: ZenodoConfig, tools: Tools) -> None:
        self._config = config
        self._service = Service("Zenodo", tools.http, config.timeout)

    async def resolve(self, spec: str) -> Resolved | None:
        asked = checked_doi(spec, _EXAMPLE)
        url = doi_url(self._config, asked)
        found = await locate(self._service, url, admit=listed(self._config.hosts))
        record = _RECORD.fullmatch(found.required().url.path)
        if record is None:
            raise ResolveError(f"{asked} leads to no record of Zenodo's")
        resolved = _with_record(asked, record[1])
        return Resolved(
            provider=self.id,
            spec=spec,
            repo_url=asked,
            ref=record[1],
            ref_url=public_url(resolved),
            resolved_spec=resolved,
            build_slug=f"zenodo-{record[1]}",
            is_git=False,
        )

    def display(self) -> dict[str, object]:
        return doi.display(self.id, "Zenodo DOI", _EXAMPLE)


def _with_record(asked: str, record: str) -> str:
    """The DOI of the one version; that of a site whose DOIs do not name Zenodo stays as it is."""
    name = _NAME.search(asked)
    return asked if name is None else f"{asked[: name.start()]}zenodo.{record}"
