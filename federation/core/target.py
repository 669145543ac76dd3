"""Where a launched visitor is sent: the server's own URL plus what the link asked for. Refuses any address
outside that server, so its token never travels elsewhere. Knows no HTTP; `static/target.js` is its twin in
the browser, and both are held to the same vectors."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

# What a browser leaves alone in a path, and in a whole URI (ECMAScript's encodeURI).
PATH_SAFE = "!$%&'()*+,-./:;=@_~[]|"
URI_SAFE = ";,/?:@&=+$-_.!~*'()#"

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]*:")
SERVER = re.compile(r"https?://[^\s/?#@\\\x00-\x1f\x7f]+(/[^\s?#\\\x00-\x1f\x7f]*)?")
DECODINGS = 3  # a proxy may decode once, a server again; nothing hostile may appear on the way


class UnsafeTarget(ValueError):
    """The link asks for an address outside the server it belongs to. The text says what is wrong with it."""


def server_target(
    server_url: str, token: str, *, urlpath: str = "", labpath: str = "", filepath: str = ""
) -> str:
    """The address to open: `server_url` joined with the path of the link, `token` added to its query.

    The paths are as BinderHub's links carry them, decoded once from the query string: `labpath` wins over
    `filepath`, which wins over `urlpath`. `labpath` opens as `doc/tree/…`, `filepath` as `tree/…`, `urlpath`
    as it is with its own query and fragment kept. An empty token adds nothing.

    Raises UnsafeTarget when `server_url` is not a plain http(s) URL or the result would leave it.
    """
    if not plain_server(server_url):
        raise UnsafeTarget("the server's own address is not a plain http or https URL")
    path, query, fragment = split(wanted_path(urlpath, labpath, filepath))
    return server_url.removesuffix("/") + "/" + path + with_token(query, token) + fragment


def plain_server(url: str) -> bool:
    """Whether a server's address is http(s) with a host, without credentials, query or fragment."""
    if not SERVER.fullmatch(url) or climbs(url.split("://", 1)[1]):
        return False
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def wanted_path(urlpath: str, labpath: str, filepath: str) -> str:
    """The one relative address that the three parameters name together, not yet judged."""
    if labpath:
        return "doc/tree/" + encode_uri(labpath).removesuffix("/")
    if filepath:
        return "tree/" + encode_uri(filepath).removesuffix("/")
    if urlpath.startswith("//"):
        raise UnsafeTarget("it starts with // and so names another host")
    return urlpath.removeprefix("/")


def split(target: str) -> tuple[str, str, str]:
    """Path, query and fragment of a relative address; the path is judged and percent-encoded."""
    if CONTROL.search(target):
        raise UnsafeTarget("it contains a control character")
    rest, hash_mark, fragment = target.partition("#")
    path, _, query = rest.partition("?")
    if SCHEME.match(path):
        raise UnsafeTarget("it is a whole URL, not a path")
    if climbs(path):
        raise UnsafeTarget("its path leaves the server")
    try:
        return quote(path, safe=PATH_SAFE), query, hash_mark + quote(fragment, safe=URI_SAFE + "%[]")
    except UnicodeEncodeError:
        raise UnsafeTarget("it is not valid text") from None


def climbs(path: str) -> bool:
    """Whether a path holds `..`, a backslash or a control character, plainly or behind percent-encoding."""
    for _ in range(DECODINGS + 1):
        # Some servers cut `;parameters` off a segment before they resolve it.
        if any(segment.partition(";")[0] == ".." for segment in path.split("/")):
            return True
        if "\\" in path or CONTROL.search(path):
            return True
        path = unquote(path)
    return False


def encode_uri(text: str) -> str:
    try:
        return quote(text, safe=URI_SAFE)
    except UnicodeEncodeError:
        raise UnsafeTarget("it is not valid text") from None


def with_token(query: str, token: str) -> str:
    """The query with the token appended, written as browsers write form data (`+` for a space)."""
    pairs = parse_qsl(query, keep_blank_values=True)
    if token:
        pairs.append(("token", token))
    if not pairs:
        return ""
    try:
        return "?" + urlencode(pairs, safe="*").replace("~", "%7E")
    except UnicodeEncodeError:
        raise UnsafeTarget("it is not valid text") from None
