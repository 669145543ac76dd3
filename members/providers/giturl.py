"""Which URLs may be handed to git. Looks at the file system for file:// and starts nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from members.core.model import SpecError

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]")
_SCP = re.compile(rf"({_USER.pattern})@([A-Za-z0-9][A-Za-z0-9.-]*):([^:-].*)")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_EXPECTED = "expected a URL such as https://git.example.org/repo"


def checked_url(url: str, protocols: Sequence[str], file_roots: Sequence[Path]) -> str:
    """The URL in the form that names the repository from here on; SpecError for any that git must not see.

    `user@host:path` becomes `ssh://user@host/path`. Git itself would also take remote helpers
    (`ext::command`), options and bare paths: only URLs of an allowed scheme get through, with a plain host
    and no password, which would show in metrics and logs.
    """
    if _UNSAFE.search(url):
        raise SpecError(f"{url!r} contains a blank or control character; {_EXPECTED}.")
    scp = _SCP.fullmatch(url)
    if scp is not None:
        url = f"ssh://{scp[1]}@{scp[2]}/{scp[3].lstrip('/')}"
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in protocols:
        allowed = ", ".join(f"{protocol}://" for protocol in protocols)
        raise SpecError(f"{url!r} cannot be used here; expected a URL that starts with one of {allowed}.")
    if scheme == "file":
        return _checked_file(url, file_roots)
    return _checked_remote(url, scheme)


def _checked_remote(url: str, scheme: str) -> str:
    try:
        parts = urlsplit(url)
        valid_port = parts.port != 0
    except ValueError as error:
        raise SpecError(f"{url!r} is not a URL; {_EXPECTED}.") from error
    if parts.password is not None or (parts.username is not None and scheme != "ssh"):
        raise SpecError("A repository's URL must not contain a user name or password; expected a public one.")
    if parts.username is not None and not _USER.fullmatch(parts.username):
        raise SpecError(f"{url!r} has no valid user name; expected one such as git.")
    host = re.sub(r":\d*$", "", parts.netloc.rpartition("@")[2])
    if not _HOST.fullmatch(host) or not valid_port:
        raise SpecError(f"{url!r} has no valid host and port; {_EXPECTED}.")
    if not parts.path.strip("/"):
        raise SpecError(f"{url!r} names no repository; {_EXPECTED}.")
    return url


def _checked_file(url: str, file_roots: Sequence[Path]) -> str:
    """The URL of the folder it really means, if that lies under one of the roots."""
    refusal = SpecError(f"{url!r} is not a repository that this member may open.")
    path = url.removeprefix("file://")
    if not path.startswith("/") or set(path) & set("%?#"):
        raise refusal
    try:
        real = Path(path).resolve(strict=True)
        roots = [root.resolve() for root in file_roots]
    except (OSError, RuntimeError, ValueError) as error:
        raise refusal from error
    if not any(real.is_relative_to(root) for root in roots):
        raise refusal
    return f"file://{real}"
