"""Datasets of any Dataverse: a DOI. Asks the Dataverse to which the DOI leads for the newest version.

Whoever registers a DOI chooses that server: it is reached at public addresses only, and may speak of the dataset
that was asked for only.
"""

from __future__ import annotations

import re

from members.core.imagename import escape
from members.core.model import Resolved, ResolveError
from members.providers import doi
from members.providers.ask import Service, admitted, anywhere, ask, listed, locate, next_hop
from members.providers.base import Tools
from members.providers.doi import DoiConfig, checked_doi, doi_url, public_url

_EXAMPLE = "10.7910/DVN/TJCLKP"
_REF = re.compile(r"\d{1,20}\.v\d{1,9}\.\d{1,9}")
_PAGE = re.compile(r"https?://[A-Za-z0-9.-]+/[A-Za-z0-9._;()/:+%?=&-]*")


class DataverseConfig(DoiConfig):
    """`providers.dataverse`. Without `hosts` a DOI may lead to any server."""

    private_addresses: bool = False


class Dataverse:
    """The provider `dataverse`. Raises what `members.service.ports.Provider` says."""

    id = "dataverse"
    name = "Dataverse"
    head_fallback = False

    def __init__(self, config: DataverseConfig, tools: Tools) -> None:
        self._config = config
        http = tools.http if config.private_addresses else tools.public
        self._doi = Service("doi.org", tools.http, config.timeout)
        self._dataverse = Service("the Dataverse", http, config.timeout)
        self._admit = listed(config.hosts) if config.hosts else anywhere

    async def resolve(self, spec: str) -> Resolved | None:
        asked = checked_doi(spec, _EXAMPLE)
        page = admitted(self._doi, await next_hop(self._doi, doi_url(self._config, asked)), self._admit)
        if "persistentId" not in page.query:
            page = (await locate(self._dataverse, page, admit=self._admit)).required().url
        url = page.with_path("/api/datasets/:persistentId", keep_query=True)
        answer = (await ask(self._dataverse, url, admit=self._admit)).required().document()
        return _resolved(spec, asked, answer)

    def display(self) -> dict[str, object]:
        return doi.display(self.id, "Dataverse DOI", _EXAMPLE)


def _resolved(spec: str, asked: str, answer: object) -> Resolved:
    match answer:
        case {
            "status": "OK",
            "data": {
                "id": int(number),
                "authority": str(authority),
                "identifier": str(identifier),
                "latestVersion": {"versionNumber": int(major), "versionMinorNumber": int(minor)},
                **rest,
            },
        }:
            pass
        case _:
            raise ResolveError("the Dataverse's answer names no published version of a dataset")
    dataset = f"{authority}/{identifier}"
    if dataset.lower() != asked.lower():
        raise ResolveError(f"the Dataverse's answer is about another dataset than {asked}")
    ref = f"{number}.v{major}.{minor}"
    if not _REF.fullmatch(ref):
        raise ResolveError(f"the Dataverse's answer has no usable version number: {ref[:60]}")
    page = rest.get("persistentUrl")
    return Resolved(
        provider=Dataverse.id,
        spec=spec,
        repo_url=asked,
        ref=ref,
        ref_url=page if isinstance(page, str) and _PAGE.fullmatch(page) else public_url(dataset),
        resolved_spec=dataset,
        build_slug=f"dataverse-{escape(identifier).lower()}",
        is_git=False,
    )
