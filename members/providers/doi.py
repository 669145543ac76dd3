"""Digital object identifiers and the site that resolves them. Knows no repository of data.

Whoever registers a DOI decides where it leads to: nothing behind the first redirect is to be trusted.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from yarl import URL

from members.core.model import SpecError
from members.providers.base import WebConfig, checked_spec
from members.providers.fields import Host, WebUrl

DISPLAY_REGEX = r"10\.\d+\/(.)+"  # what pages check before they ask
_DOI = re.compile(r"10\.\d+(\.\d+)*/[A-Za-z0-9._;()/:+-]+")


class DoiConfig(WebConfig):
    """What providers of DOIs have in common. `hosts` are those to which a DOI may lead."""

    doi_url: WebUrl = "https://doi.org"
    hosts: tuple[Host, ...] = ()


def checked_doi(spec: str, example: str) -> str:
    """The decoded DOI of a spec. Raises SpecError for anything that is more than a name."""
    expected = f"a DOI such as {example}"
    doi = unquote(checked_spec(spec, expected))
    if not _DOI.fullmatch(doi) or {"", ".", ".."} & set(doi.split("/")):
        raise SpecError(f"{spec!r} is not a DOI that can be looked up; expected {expected}.")
    return doi


def doi_url(config: DoiConfig, doi: str) -> URL:
    """Where to ask for a DOI."""
    return URL(f"{config.doi_url}/{quote(doi, safe='/:;()+')}", encoded=True)


def public_url(doi: str) -> str:
    """What a person can open for a DOI, wherever this member itself asks."""
    return f"https://doi.org/{doi}"


def display(id: str, name: str, example: str) -> dict[str, object]:
    """The entry of a provider of DOIs in `/api/repoproviders`."""
    return {
        "displayName": name,
        "id": id,
        "spec": {"validateRegex": DISPLAY_REGEX},
        "repo": {"label": name, "placeholder": f"example: {example}", "urlEncode": False},
        "ref": {"enabled": False},
    }
