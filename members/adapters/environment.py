"""Environment variables for the programs of a build: made from scratch; knows nothing of what runs with them.

Only what decides where packages come from and whom to trust is passed on from the member's own environment.
Tokens, passwords and settings of the member's user stay out of reach of repository code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from members.adapters.sandbox import Mount

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
# Git that asks nobody and reads no settings but those it is given. None for ssh either: the home it looks in,
# in a sandbox, is the repository, and its .ssh/config could name a program to run.
GIT_ALONE: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_SSH_COMMAND": "ssh -F none -oBatchMode=yes -oStrictHostKeyChecking=accept-new -oConnectTimeout=20",
}

# Each because a machine may be unable to build without it: own indexes and mirrors (uv, and pip for
# postBuild), slow networks, proxies, private certificate authorities. Credentials of a private index are part
# of these, in its URL or as UV_INDEX_*: without them nothing could be installed, with them a repository's
# build can read them.
_PASSED = re.compile(
    r"""
      UV_(INDEX\w*|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS)
    | UV_(HTTP_TIMEOUT|HTTP_CONNECT_TIMEOUT|HTTP_RETRIES|CONCURRENT_\w+|OFFLINE|EXCLUDE_NEWER)
    | PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|CERT|PROXY)
    | PIP_(DEFAULT_TIMEOUT|TIMEOUT|RETRIES)
    | SSL_CERT_FILE | SSL_CERT_DIR | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE | GIT_SSL_CAINFO
    | (HTTP|HTTPS|ALL|NO)_PROXY | (http|https|all|no)_proxy
    | LANG | LC_ALL | TZ
    """,
    re.VERBOSE,
)
_CERTIFICATES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
)
_FOLDERS = ("UV_FIND_LINKS", "PIP_FIND_LINKS")
_VISIBLE = ("/usr", "/etc/ssl/certs", "/etc/pki")  # in every sandbox already


def passed_on(own: Mapping[str, str]) -> dict[str, str]:
    """The variables of the member's environment that a build gets too.

    uv does not read pip's settings: an index that is only given to pip is given to uv as well.
    """
    found = {name: value for name, value in own.items() if _PASSED.fullmatch(name)}
    if "PIP_INDEX_URL" in found and not {"UV_INDEX_URL", "UV_DEFAULT_INDEX"} & found.keys():
        found["UV_DEFAULT_INDEX"] = found["PIP_INDEX_URL"]
    return {"LANG": "C.UTF-8", **found}


def mounts_for(variables: Mapping[str, str]) -> tuple[Mount, ...]:
    """The certificates and package folders that `variables` name and a sandbox would not show otherwise."""
    named = [variables[name] for name in _CERTIFICATES if name in variables]
    for name in _FOLDERS:
        named += re.split(r"[\s,]+", variables.get(name, ""))
    paths = {Path(value) for value in named if value.startswith("/")}
    hidden = [path for path in sorted(paths) if not any(path.is_relative_to(folder) for folder in _VISIBLE)]
    return tuple(Mount(path.resolve(), path) for path in hidden if path.exists())
