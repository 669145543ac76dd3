"""Names of the temporary users that sessions run under. Knows no hub and draws no randomness."""

from __future__ import annotations

from urllib.parse import urlsplit

SUFFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
SUFFIX_LENGTH = 8
_LONGEST = 32
_KEPT_AT_EACH_END = 15


def user_name(repo_url: str, suffix: str) -> str:
    """A readable name for a session of a repository, as BinderHub makes it (BINDER-PROTOCOL §7).

    `suffix` makes it unique: SUFFIX_LENGTH random characters of SUFFIX_ALPHABET.
    """
    if "://" not in repo_url and "@" in repo_url and ":" in repo_url:
        path = repo_url.split(":", 1)[1]
    else:
        path = urlsplit(repo_url).path
    prefix = path.strip("/").replace("/", "-").lower().removesuffix(".git")
    if len(prefix) > _LONGEST:
        prefix = f"{prefix[:_KEPT_AT_EACH_END]}-{prefix[-_KEPT_AT_EACH_END:]}"
    return f"{prefix}-{suffix}"
