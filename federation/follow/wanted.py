"""What to launch, read from a command line: `provider/spec`, a launch link. Knows no network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, quote, urlencode, urlsplit, urlunsplit

from federation.core.providers import BY_ID

_PATHS = ("urlpath", "labpath", "filepath")
# What a raw spec may hold as it is, `%` as the sign of what is encoded already; the rest gets encoded.
_SPEC_SAFE = "/%:@!$&'()*+,;=~"


class Unclear(ValueError):
    """The text names no launch; the message says what would."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One launch. `spec` is raw (percent-encoded), `front_door` the base URL a link came with, if any.

    `member` is the preferred member, empty for none. The paths are decoded, as in the link's query.
    """

    provider: str
    spec: str
    urlpath: str = ""
    labpath: str = ""
    filepath: str = ""
    member: str = ""
    front_door: str | None = None

    def build_url(self, front_door: str) -> str:
        """Where this launch's event stream is."""
        query = f"?{urlencode({'member': self.member})}" if self.member else ""
        return f"{front_door.rstrip('/')}/build/{self.provider}/{self.spec}{query}"


def read(text: str) -> Wanted:
    """`gh/user/repo/ref`, `git/<quoted url>/ref`, `v2/gh/…` or a whole launch link, each with or without a
    query such as `?urlpath=lab`. Raises Unclear."""
    try:
        parts = urlsplit(text.strip())
    except ValueError as problem:
        raise Unclear(f"{text!r} is no launch: {problem}") from None
    front_door, path = None, parts.path.strip("/")
    if parts.netloc:
        front_door, path = _link(parts, text)
    path = path.removeprefix("v2/")
    provider, _, spec = path.partition("/")
    spec = quote(spec.strip("/"), safe=_SPEC_SAFE)
    _check(provider, spec, text)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    paths = {name: query.get(name, "") for name in _PATHS}
    return Wanted(provider, spec, **paths, member=query.get("member", ""), front_door=front_door)


def front_door_url(text: str) -> str:
    """A base URL without trailing slash. Raises Unclear."""
    try:
        parts = urlsplit(text.strip())
        fine = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment:
        raise Unclear(f"{text!r} is no front door: expected a URL such as http://127.0.0.1:8080")
    return text.strip().rstrip("/")


def _link(parts: SplitResult, text: str) -> tuple[str, str]:
    """Base URL and path of a launch link, whose front door may live under a path of its own."""
    found = re.fullmatch(r"(?P<base>.*?)/v2/(?P<rest>.+)", parts.path)
    if parts.scheme not in ("http", "https") or found is None:
        raise Unclear(f"{text!r} is no launch link: expected http(s)://…/v2/<provider>/<repository>/<ref>")
    return front_door_url(urlunsplit((parts.scheme, parts.netloc, found["base"], "", ""))), found["rest"]


def _check(provider: str, spec: str, text: str) -> None:
    known = ", ".join(BY_ID)
    if not provider or not spec:
        raise Unclear(f"{text!r} is no launch: expected PROVIDER/SPEC such as gh/user/repository/HEAD")
    if provider not in BY_ID:
        raise Unclear(f"{text!r}: no provider {provider!r}, expected one of {known}")
    if "://" in spec:
        repository, _, ref = spec.rpartition("/")
        fixed = f"{provider}/{quote(repository, safe='')}/{ref}"
        raise Unclear(f"{text!r}: the repository's URL must be percent-encoded, as in {fixed}")
