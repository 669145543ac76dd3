"""A request's raw path and query as a `Launch`: which repository, at which ref. Resolves nothing.

The spec travels on as it came, percent-encoded; what is decoded here is only looked at. The repository key
is `/build/<provider>/<repository>` without the ref, which for GitHub repositories is the text that
mybinder.org's federation-redirect hashes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_plus

from federation.core.errors import LaunchError
from federation.core.model import Launch
from federation.core.providers import BY_ID, Provider

LONGEST_SPEC = 2048
LONGEST_QUERY = 4096
MEMBER_PARAMETER = "member"

_PREFIX = "/build/"
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\\\\\u2028\u2029]")
_ASCII_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_GIT_URL = re.compile(r"[a-z][a-z0-9+.-]*://.+|[^/@\s]+@[^/:\s]+:.+", re.IGNORECASE)
_CREDENTIALS = re.compile(r"//[^/]*@")  # to the last @: a password may hold some
_SECRET = re.compile(
    r"([?&][^=&?/\s]{0,30}(?:token|secret|passw|key)[^=&?/\s]{0,30}=)[^&\s'\"]+", re.IGNORECASE
)


@lru_cache(maxsize=1024)
def parse_launch(raw_path: str, raw_query: str = "") -> Launch:
    """The launch that `/build/<provider>/<spec>` asks for. Raises `LaunchError`, saying what is wrong."""
    provider_id, slash, spec = raw_path.removeprefix(_PREFIX).partition("/")
    if not raw_path.startswith(_PREFIX) or not slash or not spec.strip("/"):
        raise LaunchError("A launch is asked for as /build/<provider>/<repository>/<ref>", 400)
    provider = BY_ID.get(provider_id)
    if provider is None:
        raise LaunchError(f"No provider found for prefix {provider_id[:40]}")
    spec = _carried(spec, LONGEST_SPEC, "The spec")
    _refuse_unsafe(spec)
    query, prefer = take_member(_carried(raw_query, LONGEST_QUERY, "The query"))
    return Launch(provider_id, spec, repo_key(provider, spec), query, prefer)


def parse_spec(text: str) -> Launch:
    """The launch that a bare `provider/…/ref` names, as in `explain`. Raises `LaunchError`."""
    bare = text.strip().lstrip("/")
    return parse_launch(_PREFIX + bare.removeprefix("build/").removeprefix("v2/"))


def repo_key(provider: Provider, spec: str) -> str:
    """What affinity hashes for a spec of this provider."""
    repo = _repository(provider, spec.strip("/"))
    if not provider.display["repo"]["urlEncode"]:
        repo = quote(unquote(repo), safe="/")  # `a%2Db` and `a-b` are one repository
    try:
        return f"{_PREFIX}{provider.id}/{provider.fold(repo)}"
    except ValueError as error:
        raise LaunchError(f"The spec names no usable repository URL: {unquote(repo)[:200]}", 400) from error


def take_member(raw_query: str) -> tuple[str, str | None]:
    """The query without `member`, otherwise unchanged, and the member it asked for."""
    prefer = None
    kept = []
    for pair in raw_query.split("&") if raw_query else ():
        name, _, value = pair.partition("=")
        if unquote_plus(name) == MEMBER_PARAMETER:
            prefer = unquote_plus(value) or None
        else:
            kept.append(pair)
    return "&".join(kept), prefer


def shown(text: str) -> str:
    """A key, a spec or somebody's words for people: decoded, and without the credentials a URL may carry."""
    return _SECRET.sub(r"\1…", _CREDENTIALS.sub("//", unquote(text)))


def _repository(provider: Provider, spec: str) -> str:
    """The spec without its ref."""
    if not provider.has_ref:
        return spec
    if provider.display["repo"]["urlEncode"]:
        repo, _, ref = spec.partition("/")
        if provider.id == "git" and not _GIT_URL.fullmatch(unquote(repo)):
            raise LaunchError(f"A {provider.id} spec starts with the repository's URL, percent-encoded", 400)
        form = "<percent-encoded repository>/<ref>"
    else:
        user, _, rest = spec.partition("/")
        name, _, ref = rest.partition("/")
        repo = f"{user}/{name}" if user and name else ""
        form = "<user>/<name>[/<ref>]" if provider.ref_optional else "<user>/<repository>/<ref>"
    if not repo or not (ref.strip("/") or provider.ref_optional):
        raise LaunchError(f"A {provider.id} spec is written {form}, this is: {unquote(spec)[:200]}", 400)
    return repo


def _carried(text: str, longest: int, what: str) -> str:
    """The text as it may travel on in a request line: bounded, and with nothing but printable ASCII."""
    if len(text) > longest:
        raise LaunchError(f"{what} is too long: {len(text)} characters, at most {longest}", 400)
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    return quote(text.encode("utf-8", "surrogateescape"), safe=_ASCII_PRINTABLE)


def _refuse_unsafe(spec: str) -> None:
    """Refuses what would be read as another path further on. Looks two decodings deep."""
    text = spec
    for _ in range(3):
        if any(part in (".", "..") for part in text.split("/")):
            raise LaunchError("The spec must not contain . or .. as a part of a path", 400)
        if _UNSEEN.search(text):
            raise LaunchError("The spec must not contain backslashes or control characters", 400)
        if "%" not in text:
            return
        if text is spec and _STRAY_PERCENT.search(text):
            raise LaunchError("The spec has a % that starts no percent-encoding", 400)
        try:
            text = unquote(text, errors="strict")
        except UnicodeDecodeError as error:
            raise LaunchError("The spec is not UTF-8 when decoded", 400) from error
