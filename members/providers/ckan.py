"""Datasets of any CKAN site: the percent-encoded URL of a dataset's page. Asks that site's own API.

The visitor chooses the server: it is reached at public addresses only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from members.core.model import Resolved, ResolveError, SpecError
from members.providers.ask import Service, admitted, anywhere, ask, listed
from members.providers.base import Tools, WebConfig, checked_spec
from members.providers.dates import epoch
from members.providers.fields import Host

_EXPECTED = "the percent-encoded URL of a dataset, such as https%3A%2F%2Fdemo.ckan.org%2Fdataset%2Fmy-dataset"
_DATASET = re.compile(
    r"(?P<prefix>(/[\w.~-]+)*?)/dataset/(?P<name>[A-Za-z0-9][A-Za-z0-9_-]{0,99})(?P<rest>(/[\w-]*)*)",
    re.ASCII,
)
_HISTORY = re.compile(r"/history/([A-Za-z0-9_-]{1,100})/?")
_ACTIVITY = re.compile(r"[A-Za-z0-9_-]{1,100}")


class CkanConfig(WebConfig):
    """`providers.ckan`. Without `hosts` a dataset may be on any server."""

    hosts: tuple[Host, ...] = ()
    private_addresses: bool = False


@dataclass(frozen=True, slots=True)
class _Page:
    """A dataset's page taken apart; without `activity` its newest state is meant."""

    url: URL
    prefix: str
    dataset: str
    activity: str | None


class Ckan:
    """The provider `ckan`. Raises what `members.service.ports.Provider` says."""

    id = "ckan"
    name = "CKAN"
    head_fallback = False

    def __init__(self, config: CkanConfig, tools: Tools) -> None:
        http = tools.http if config.private_addresses else tools.public
        self._service = Service("the CKAN site", http, config.timeout)
        self._admit = listed(config.hosts) if config.hosts else anywhere

    async def resolve(self, spec: str) -> Resolved | None:
        text = unquote(checked_spec(spec, _EXPECTED))
        page = _page(text)
        if page is None:
            return None
        admitted(self._service, page.url, self._admit)
        answer = await ask(self._service, _question(page), admit=self._admit)
        if answer.status != 200:
            return None
        ref = f"{page.dataset}.v{_modified(page, answer.document())}"
        return Resolved(
            provider=self.id,
            spec=spec,
            repo_url=text,
            ref=ref,
            ref_url=text,
            resolved_spec=text,
            build_slug=f"ckan-{page.dataset}",
            is_git=False,
        )

    def display(self) -> dict[str, object]:
        return {
            "displayName": "CKAN dataset",
            "id": self.id,
            "spec": {"validateRegex": "[^/]+"},
            "repo": {
                "label": "CKAN dataset URL",
                "placeholder": "https://demo.ckan.org/dataset/my-sample-dataset-001",
                "urlEncode": True,
            },
            "ref": {"enabled": False},
        }


def _page(text: str) -> _Page | None:
    """The page a URL means; None when it is no dataset's. Raises SpecError when it is no plain URL."""
    try:
        url = URL(checked_spec(text, _EXPECTED))
        plain = url.scheme in ("http", "https") and url.host and url.port and url.raw_user is None
    except ValueError as error:
        raise SpecError(f"{text!r} is not a URL; expected {_EXPECTED}.") from error
    if not plain or url.raw_password is not None:
        raise SpecError(f"{text!r} cannot be looked up; expected {_EXPECTED}.")
    parts = _DATASET.fullmatch(url.raw_path)
    if parts is None:
        return None
    history = _HISTORY.fullmatch(parts["rest"])
    activity = history[1] if history is not None else url.query.get("activity_id") or None
    if activity is not None and not _ACTIVITY.fullmatch(activity):
        raise SpecError(f"{activity!r} in {text!r} is not an activity's id; expected {_EXPECTED}.")
    return _Page(url, parts["prefix"], parts["name"], activity)


def _question(page: _Page) -> URL:
    api = page.url.origin().with_path(f"{page.prefix}/api/3/action/")
    if page.activity is None:
        return (api / "package_show").with_query(id=page.dataset)
    return (api / "activity_data_show").with_query(id=page.activity, object_type="package")


def _modified(page: _Page, answer: object) -> int:
    result = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(result, dict):
        raise ResolveError("the CKAN site's answer has no dataset")
    # Else the activity of one dataset could give its contents another one's image name.
    if page.dataset not in (result.get("name"), result.get("id")):
        raise ResolveError(f"the CKAN site's answer is about another dataset than {page.dataset}")
    return epoch("the CKAN site", result.get("metadata_modified"))
