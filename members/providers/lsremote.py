"""One `git ls-remote` as a process with an owner, a time limit and a clean end. Knows no spec."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress

_LARGEST_OUTPUT = 1024**2  # bytes read of each stream; a listing of one ref is a few hundred
_LONGEST_REASON = 1000  # characters of git's own words that a visitor is shown
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e\n\t\xa0-\uffff]")
_PASSED_ON = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "SSH_AUTH_SOCK")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class LsRemoteFailed(Exception):
    """Git could not list the repository; the message has its own words."""


async def ls_remote(url: str, ref: str, *, protocols: Sequence[str], timeout: float) -> str:
    """What `git ls-remote -- url ref` prints; empty when the ref is not there.

    Raises LsRemoteFailed, also after `timeout` seconds. Git gets no terminal, asks nobody for a password,
    follows no redirect to another protocol, and is gone with its helpers when this ends, however it ends.
    """
    process = await asyncio.create_subprocess_exec(
        "git",
        "ls-remote",
        "--",
        url,
        ref,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd="/",
        env=_environment(protocols),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout):
            output, errors = await asyncio.gather(_read(process.stdout), _read(process.stderr))
            code = await process.wait()
    except TimeoutError as error:
        raise LsRemoteFailed(f"no answer within {timeout:.0f} seconds") from error
    finally:
        await _end(process)
    if code != 0:
        reason = _NOT_PRINTABLE.sub("", errors.decode("utf-8", "replace"))[:_LONGEST_REASON]
        raise LsRemoteFailed(reason or f"git ended with code {code}\n")
    return output.decode("utf-8", "replace")


def _environment(protocols: Sequence[str]) -> dict[str, str]:
    """Nothing of ours but what git needs to reach the network; no secret of this process."""
    passed = {name: os.environ[name] for name in (*_PASSED_ON, *_PROXIES) if name in os.environ}
    return passed | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": ":".join(protocols),
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "LC_ALL": "C.UTF-8",
    }


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None
    data = bytearray()
    while chunk := await stream.read(65536):
        if len(data) <= _LARGEST_OUTPUT:
            data += chunk
    return bytes(data[:_LARGEST_OUTPUT])


async def _end(process: Process) -> None:
    """Git's transport helpers are its children: the whole group goes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        # A pipe that is not read to its end keeps the process's transport open, and `wait` waiting.
        while stream is not None and await stream.read(65536):
            pass
    await process.wait()
