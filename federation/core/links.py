"""What a visitor pastes, read as a launch: repository URLs of any forge, launch links, badges, DOIs, plain
`user/repo`. Guesses from the text alone, never from the network. `static/links.js` is its browser twin."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, quote, unquote

from federation.core.providers import BY_ID

COMPONENT_SAFE = "!'()*-._~"  # ECMAScript's encodeURIComponent
LAUNCH_LINK = re.compile(r"/v2/([a-z]+)/([^\s\"'<>)\]]+)")
WEB_URL = re.compile(r"https?://([^\s/?#]+)(/[^\s?#]*)?[^\s]*", re.IGNORECASE)
OTHER_URL = re.compile(r"(git|ssh|file)://[^\s]+|[^\s@/:]+@[^\s:/]+:[^\s]+", re.IGNORECASE)
SCP = re.compile(r"(?:ssh://)?git@(github\.com|gitlab\.com)[:/](.+)")
# A forge's page about one version of a repository: GitHub, GitLab, Gitea; a folder or a file in it.
VERSION_PAGE = re.compile(
    r"(?P<repo>.+?)(?:/-)?/(?P<kind>tree|blob|raw|commit|src/(?:branch|tag|commit)|releases/tag)/(?P<rest>.+)"
)
NAMED_REF = re.compile(r"refs/(?:heads|tags)/(.+)")
DOI = re.compile(r"(?:doi:|https?://(?:dx\.)?doi\.org/)?(10\.\d+/\S+)", re.IGNORECASE)
SHORT = re.compile(r"([a-z0-9_.-]+/[a-z0-9_.-]+?)(?:\.git)?(?:@([^\s@]+))?/?", re.IGNORECASE)
NO_REPOSITORY = re.compile(r"[\x00-\x1f\x7f]|(?:^|/)\.\.?(?:/|$)")
HEX_RESOURCE = re.compile(r"[0-9a-f]{32}")

WEB_HOSTS = {
    "gh": "https://github.com/",
    "gl": "https://gitlab.com/",
    "gist": "https://gist.github.com/",
    "zenodo": "https://doi.org/",
    "figshare": "https://doi.org/",
    "dataverse": "https://doi.org/",
    "hydroshare": "https://www.hydroshare.org/resource/",
}


class NotALink(ValueError):
    """The text names no repository that can be launched here. The text of the error says what would."""


@dataclass(frozen=True, slots=True)
class Link:
    """One launch as a person would say it: `repo` and `ref` are plain text, not percent-encoded.

    `path` is what to open: a file when `opens` is "file", else a URL path inside the server.
    """

    provider: str
    repo: str
    ref: str = ""
    path: str = ""
    opens: str = "url"

    @property
    def name(self) -> str:
        """What a heading calls it: the last part of a URL, else the repository as it is."""
        if "://" not in self.repo:
            return self.repo
        return self.repo.rstrip("/").rpartition("/")[2].removesuffix(".git") or self.repo


def launch_path(link: Link) -> str:
    """The address of the link on the front door, `/v2/…`, as BinderHub's own page writes it."""
    row = BY_ID[link.provider]
    encode_all = row.display["repo"]["urlEncode"]
    repo = quote(link.repo.strip(), safe=COMPONENT_SAFE + ("" if encode_all else "/"))
    ref = quote(link.ref.strip() or "HEAD", safe=COMPONENT_SAFE + "/") if row.has_ref else ""
    path = link.path.strip()
    if path and link.opens == "file":
        path = "/doc/tree/" + quote(path.strip("/"), safe=COMPONENT_SAFE + "/")
    query = "?urlpath=" + quote(path, safe=COMPONENT_SAFE) if path else ""
    return f"/v2/{link.provider}/{repo}/{ref}{query}"


def read_spec(provider: str, spec: str) -> Link:
    """A raw, percent-encoded spec of a launch URL as a person would say it.

    Raises NotALink when it is not of its provider's form. That it is safe is `launchkey`'s to say.
    """
    row = BY_ID[provider]
    repo, ref = split_spec(provider, spec)
    form = {"gh": "user/repo/ref", "gist": "user/id/ref"}.get(provider, "repository/ref")
    if not repo or not re.fullmatch(row.display["spec"]["validateRegex"], spec.rstrip("/")):
        example = f"/v2/{provider}/{form if row.has_ref else 'name'}"
        raise NotALink(f"{row.display['displayName']} links look like {example}.")
    return Link(provider, repo, ref)


def web_url(link: Link) -> str | None:
    """Where a person reads this repository in a browser, None if that is not known."""
    if link.provider in WEB_HOSTS:
        return WEB_HOSTS[link.provider] + quote(link.repo, safe="/")
    if link.provider in ("git", "ckan") and WEB_URL.fullmatch(link.repo) and "@" not in link.repo:
        return link.repo
    return None


def read_link(text: str, offered: Collection[str]) -> Link:
    """The launch that a pasted text means. `offered` are the ids of the providers that may be used.

    Raises NotALink, with a sentence for the visitor.
    """
    text = text.strip()
    if not text:
        raise NotALink("Paste the address of a repository.")
    link = from_launch_link(text) or from_doi(text) or from_scp(text) or from_web(text) or from_rest(text)
    if link is None or NO_REPOSITORY.search(f"{link.repo}/{link.ref}"):
        raise NotALink("This is neither a repository URL, a launch link nor a name like user/repo.")
    if link.provider not in offered:
        link = as_plain_git(text, link, offered)
    return link


def as_plain_git(text: str, link: Link, offered: Collection[str]) -> Link:
    """A forge whose own provider is not offered still serves plain git."""
    hosts = {"gh": "github.com", "gl": "gitlab.com", "gist": "gist.github.com"}
    if "git" in offered and link.provider in hosts and "/v2/" not in text:
        return replace(link, provider="git", repo=f"https://{hosts[link.provider]}/{link.repo}")
    name = BY_ID[link.provider].display["displayName"]
    raise NotALink(f"{name} is not offered here.")


def from_launch_link(text: str) -> Link | None:
    match = LAUNCH_LINK.search(text)
    if match is None or match[1] not in BY_ID:
        return None
    spec, _, query = match[2].partition("#")[0].partition("?")
    row = BY_ID[match[1]]
    repo, ref = split_spec(match[1], spec)
    if not repo:
        raise NotALink(
            f"This launch link is incomplete. {row.display['displayName']} links look like {row.id}/…"
        )
    asked = {key: values[0] for key, values in parse_qs(query).items()}
    if asked.get("labpath") or asked.get("filepath"):
        return Link(row.id, repo, ref, asked.get("labpath") or asked["filepath"], "file")
    return Link(row.id, repo, ref, asked.get("urlpath", ""))


def split_spec(provider: str, spec: str) -> tuple[str, str]:
    """Repository and ref of a raw spec, both decoded; the repository is empty when the spec is too short."""
    row = BY_ID[provider]
    spec = spec.rstrip("/")
    if not row.has_ref:
        return unquote(spec), ""
    slashes = 1 if row.display["repo"]["urlEncode"] else 2
    parts = spec.split("/", slashes)
    if len(parts) < slashes or not all(parts):
        return "", ""
    return unquote("/".join(parts[:slashes])), unquote("".join(parts[slashes:]))


def from_doi(text: str) -> Link | None:
    record = re.fullmatch(r"https?://(?:www\.)?zenodo\.org/records?/(\d+)\S*", text)
    if record:
        return Link("zenodo", f"10.5281/zenodo.{record[1]}")
    resource = re.match(r"https?://(?:www\.)?hydroshare\.org/resource/([0-9a-f]{32})", text)
    if resource or HEX_RESOURCE.fullmatch(text):
        return Link("hydroshare", resource[1] if resource else text)
    doi = DOI.fullmatch(text)
    if doi is None:
        return None
    lowered = doi[1].lower()
    provider = "zenodo" if "zenodo" in lowered else "figshare" if "figshare" in lowered else "dataverse"
    return Link(provider, doi[1].rstrip("/"))


def from_scp(text: str) -> Link | None:
    match = SCP.fullmatch(text)
    if match is None:
        return None
    provider = "gh" if match[1] == "github.com" else "gl"
    return Link(provider, match[2].strip("/").removesuffix(".git"))


def from_web(text: str) -> Link | None:
    match = WEB_URL.fullmatch(text)
    if match is None:
        return None
    host, path = match[1].lower().removeprefix("www."), (match[2] or "").strip("/")
    if not path:
        raise NotALink("This address names a host, but no repository on it.")
    if host == "raw.githubusercontent.com" and path.count("/") >= 3:
        user, repo, rest = path.split("/", 2)
        host, path = "github.com", f"{user}/{repo}/blob/{rest}"
    repo, ref, inner, opens = version_page(path)
    repo = repo.removesuffix(".git")
    if host == "github.com":
        return Link("gh", first_two(unquote(repo)), ref, inner, opens)
    if host == "gist.github.com":
        return from_gist(unquote(repo))
    if host == "gitlab.com":
        return Link("gl", unquote(repo), ref, inner, opens)
    if ref:
        return Link("git", f"{text.partition(':')[0].lower()}://{match[1]}/{repo}", ref, inner, opens)
    return Link("git", text.partition("#")[0])


def version_page(path: str) -> tuple[str, str, str, str]:
    """Repository, ref, path inside it and how to open that, from the path of a forge's page.

    The ref is taken as the one segment after `tree/`: a branch's own slashes cannot be seen.
    """
    match = VERSION_PAGE.fullmatch(path)
    if match is None:
        return path, "", "", "url"
    named = NAMED_REF.fullmatch(match["rest"])
    ref, _, inner = unquote(named[1] if named else match["rest"]).partition("/")
    if not inner or match["kind"] in ("commit", "releases/tag"):
        return match["repo"], ref, "", "url"
    if match["kind"] in ("blob", "raw") or re.search(r"\.[a-z0-9]+$", inner, re.IGNORECASE):
        return match["repo"], ref, inner, "file"
    return match["repo"], ref, "/lab/tree/" + quote(inner, safe=COMPONENT_SAFE + "/"), "url"


def first_two(repo: str) -> str:
    parts = repo.split("/")
    if len(parts) < 2:
        raise NotALink("This address names a user, but no repository of theirs.")
    return "/".join(parts[:2]).removesuffix(".git")


def from_gist(path: str) -> Link:
    parts = path.split("/")
    if len(parts) < 2:
        raise NotALink("A gist needs its owner in the address: https://gist.github.com/user/id")
    ref = parts[2] if len(parts) > 2 and re.fullmatch(r"[0-9a-f]{7,40}", parts[2]) else ""
    return Link("gist", f"{parts[0]}/{parts[1].removesuffix('.git')}", ref)


def from_rest(text: str) -> Link | None:
    """Git URLs of other schemes, and the short form `user/repo` with an optional `@ref`."""
    if OTHER_URL.fullmatch(text):
        return Link("git", text)
    short = SHORT.fullmatch(text)
    return Link("gh", short[1], short[2] or "") if short else None
