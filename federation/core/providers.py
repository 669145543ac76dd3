"""The kinds of repository a launch can name: how each is shown on the page and which of its specs name the
same repository. A further provider is one row here; resolving refs is the members' business."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

CASE_BLIND_HOSTS = frozenset({"github.com", "gist.github.com", "gitlab.com", "bitbucket.org"})


def fold_name(repo: str) -> str:
    """`User/Repo.git/` and `user/repo` are one repository on a host that ignores case."""
    return repo.strip("/").lower().removesuffix(".git")


def fold_url(repo: str) -> str:
    """One form for the URLs of a git repository: scheme and host in lower case, path as the host treats it."""
    parts = urlsplit(unquote(repo).strip())
    path = parts.path.rstrip("/").removesuffix(".git")
    host = parts.netloc.lower()
    if host in CASE_BLIND_HOSTS:
        path = path.lower()
    return quote(urlunsplit((parts.scheme.lower(), host, path, parts.query, "")), safe="")


@dataclass(frozen=True, slots=True)
class Provider:
    """One row: its id in specs, what `/api/repoproviders` tells of it, and how its repositories fold."""

    id: str
    display: Mapping[str, Any]
    fold: Callable[[str], str]
    has_ref: bool = True
    ref_optional: bool = False  # gist: `user/id` alone is a whole spec


def _display(
    id: str,
    name: str,
    regex: str,
    label: str,
    placeholder: str,
    *,
    encode: bool = False,
    host: str | None = None,
    ref: bool = True,
) -> Mapping[str, Any]:
    shown: dict[str, Any] = {"displayName": name, "id": id, "spec": {"validateRegex": regex}}
    if host is not None:
        shown["detect"] = {"regex": f"^(https?://{host}/)?(?<repo>.*[^/])/?"}
    shown["repo"] = {"label": label, "placeholder": placeholder, "urlEncode": encode}
    shown["ref"] = {"enabled": True, "default": "HEAD"} if ref else {"enabled": False}
    return shown


_DOI = r"10\.\d+\/(.)+"

PROVIDERS: tuple[Provider, ...] = (
    Provider(
        "gh",
        _display(
            "gh",
            "GitHub",
            "[^/]+/[^/]+/.+",
            "GitHub repository name or URL",
            "example: binder-examples/requirements or https://github.com/binder-examples/requirements",
            host="github.com",
        ),
        fold_name,
    ),
    Provider(
        "gist",
        _display(
            "gist",
            "GitHub Gist",
            "[^/]+/[^/]+(/[^/]+)?",
            "Gist ID (username/gistId) or URL",
            "",
            host="gist.github.com",
        ),
        fold_name,
        ref_optional=True,
    ),
    Provider(
        "git",
        _display(
            "git",
            "Git repository",
            "[^/]+/.+",
            "Arbitrary git repository URL",
            "example: http://git.example.com/repo",
            encode=True,
        ),
        fold_url,
    ),
    Provider(
        "gl",
        _display(
            "gl",
            "GitLab",
            "[^/]+/.+",
            "GitLab repository name or URL",
            "example: https://gitlab.com/mosaik/examples/mosaik-tutorials-on-binder"
            " or mosaik/examples/mosaik-tutorials-on-binder",
            encode=True,
            host="gitlab.com",
        ),
        lambda repo: quote(fold_name(unquote(repo)), safe=""),
    ),
    Provider(
        "zenodo",
        _display("zenodo", "Zenodo DOI", _DOI, "Zenodo DOI", "example: 10.5281/zenodo.3242074", ref=False),
        fold_name,
        has_ref=False,
    ),
    Provider(
        "figshare",
        _display(
            "figshare",
            "FigShare DOI",
            _DOI,
            "FigShare DOI",
            "example: 10.6084/m9.figshare.9782777.v1",
            ref=False,
        ),
        fold_name,
        has_ref=False,
    ),
    Provider(
        "hydroshare",
        _display(
            "hydroshare",
            "Hydroshare resource",
            "[^/]+",
            "Hydroshare resource id",
            "example: 8f7c2f0341ef4180b0dbe97f59130756",
            encode=True,
            ref=False,
        ),
        fold_name,
        has_ref=False,
    ),
    Provider(
        "dataverse",
        _display(
            "dataverse", "Dataverse DOI", _DOI, "Dataverse DOI", "example: 10.7910/DVN/TJCLKP", ref=False
        ),
        fold_name,
        has_ref=False,
    ),
    Provider(
        "ckan",
        _display(
            "ckan",
            "CKAN dataset",
            "[^/]+",
            "CKAN dataset URL",
            "https://demo.ckan.org/dataset/my-sample-dataset-001",
            encode=True,
            ref=False,
        ),
        fold_url,
        has_ref=False,
    ),
)

BY_ID: Mapping[str, Provider] = {provider.id: provider for provider in PROVIDERS}
