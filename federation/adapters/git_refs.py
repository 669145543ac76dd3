"""Asks a git repository what a ref means: one `git ls-remote` with an owner, limits and a clean end. Knows no launch.

A visitor names the repository, so the front door contacts a host that a visitor chose, from its own network.
Members do so as well, but they may stand in another one. Therefore:

- Only http and https are spoken. With `allow_private` also git://, whose host cannot be bound to an address
  that was looked at. Local folders are read below `file_roots` alone, and ssh is never spoken.
- Without `allow_private`, a host that has any address on this machine or in a private, link-local or reserved
  network is refused, and git is bound to the addresses that were looked at (`http.curloptResolve`, git 2.37
  or later; an older git looks the name up again by itself).
- No redirect is followed, no proxy used, no password asked for or sent, no configuration of the user or the
  machine read. Whatever git says beside the listing is thrown away.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from federation.adapters.addresses import addresses_of, is_public
from federation.core.rules import RefRules

TIME_LIMIT = 10.0  # seconds for one question
LARGEST_LISTING = 256 * 1024  # bytes; a listing of one ref is a few hundred

_PORTS = {"http": 80, "https": 443, "git": 9418}
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PASSED_ON = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")


@dataclass(frozen=True, slots=True)
class _Place:
    """A repository's URL taken apart, and what git is told before it opens it."""

    scheme: str
    host: str
    port: int
    url: str
    options: tuple[str, ...] = ()


class GitRefs:
    """A `RefSource`. One process for each question; whoever asks bounds how many there are at once."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        file_roots: Sequence[Path] = (),
        time_limit: float = TIME_LIMIT,
    ) -> None:
        """`allow_private` lets visitors make the front door contact any host that it can reach: for a federation
        on one machine, and for networks in which that is meant."""
        self._allow_private = allow_private
        self._file_roots = tuple(file_roots)
        self._time_limit = time_limit

    async def resolve(self, url: str, names: Sequence[str]) -> str | None:
        if not names or any(not name or name.startswith("-") or _UNSAFE.search(name) for name in names):
            return None
        try:
            async with asyncio.timeout(self._time_limit):
                place = await self._place(url)
                listing = None if place is None else await _ls_remote(place, names, self._time_limit)
        except (OSError, ValueError):  # no answer in time, no such host, no git, a name that no program takes
            return None
        return None if listing is None else choose(listing, names)

    async def _place(self, url: str) -> _Place | None:
        """Where to ask, or None for a URL that git must not see."""
        if _UNSAFE.search(url) or _UNSAFE.search(unquote(url)):
            return None
        if url.startswith("file://"):
            return self._folder(url.removeprefix("file://"))
        place = _taken_apart(url)
        if place is None or self._allow_private:
            return place
        return await _bound(place)

    def _folder(self, path: str) -> _Place | None:
        """The folder that the path really means, if it lies below one of the roots."""
        if not path.startswith("/") or set(path) & set("%?#"):
            return None
        real = Path(path).resolve(strict=True)
        if not any(real.is_relative_to(root.resolve()) for root in self._file_roots):
            return None
        return _Place("file", "", 0, f"file://{real}")


class FollowedRefs:
    """A `RefSource` by the rules in force; without any, nothing can be told."""

    def __init__(self, rules: Callable[[], RefRules]) -> None:
        self._rules = rules

    async def resolve(self, url: str, names: Sequence[str]) -> str | None:
        rules = self._rules()
        if not rules.resolve:
            return None
        roots = [Path(root) for root in rules.file_roots]
        return await GitRefs(allow_private=rules.allow_private, file_roots=roots).resolve(url, names)


def choose(listing: str, names: Sequence[str]) -> str | None:
    """What the first of these names means in the output of `git ls-remote`, which lists all that end alike."""
    found: dict[str, str] = {}
    for line in listing.splitlines():
        commit, _, name = line.partition("\t")
        if _COMMIT.fullmatch(commit):
            found[name] = commit
    return next((found[name] for name in names if name in found), None)


def _taken_apart(url: str) -> _Place | None:
    """The parts of a URL with a plain host and no user, put together anew so that git reads it as we did."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme not in _PORTS or "@" in parts.netloc or parts.query or parts.fragment or port == 0:
        return None
    if not _HOST.fullmatch(host) or not parts.path.strip("/"):
        return None
    port = port or _PORTS[parts.scheme]
    written = f"[{host}]" if ":" in host else host
    at = "" if port == _PORTS[parts.scheme] else f":{port}"
    return _Place(parts.scheme, host, port, f"{parts.scheme}://{written}{at}{parts.path}")


async def _bound(place: _Place) -> _Place | None:
    """The place with git bound to the addresses that it has now, or None if any of them is not public."""
    if place.scheme == "git":
        return None
    addresses = await addresses_of(place.host, place.port)
    if not all(map(is_public, addresses)):
        return None
    listed = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    host = f"[{place.host}]" if ":" in place.host else place.host
    options = (f"http.curloptResolve={host}:{place.port}:{listed}",)
    return _Place(place.scheme, place.host, place.port, place.url, options)


async def _ls_remote(place: _Place, names: Sequence[str], time_limit: float) -> str | None:
    """What git lists; None when it fails or lists too much. It is gone with its helpers when this ends."""
    options = (
        "http.followRedirects=false",
        "http.proxy=",
        "credential.helper=",
        "http.lowSpeedLimit=1",  # should this process be killed, git does not wait for ever
        f"http.lowSpeedTime={max(1, round(time_limit))}",
        *place.options,
    )
    process = await asyncio.create_subprocess_exec(
        "git",
        *(part for option in options for part in ("-c", option)),
        "ls-remote",
        "--",
        place.url,
        *names,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd="/",
        env=_environment(place.scheme),
        start_new_session=True,
    )
    try:
        listing = await _read(process.stdout)
        if listing is None or await process.wait() != 0:
            return None
        return listing.decode("utf-8", "replace")
    finally:
        await _end(process)


def _environment(scheme: str) -> dict[str, str]:
    """Nothing of ours but what git needs to reach the network; no secret of this process."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | {
        "HOME": os.devnull,  # where no .netrc is
        "GIT_ALLOW_PROTOCOL": scheme,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_DIR": os.devnull,  # no repository that may stand around
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }


async def _read(stream: asyncio.StreamReader | None) -> bytes | None:
    assert stream is not None
    data = bytearray()
    while chunk := await stream.read(65536):
        data += chunk
        if len(data) > LARGEST_LISTING:
            return None
    return bytes(data)


async def _end(process: Process) -> None:
    """Git's transport helpers are its children: the whole group goes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    while process.stdout is not None and await process.stdout.read(65536):
        pass  # a pipe that is not read to its end would keep the process's transport open
    await process.wait()
