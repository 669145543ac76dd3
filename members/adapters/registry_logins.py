"""Credentials as Docker's config.json says: entries, credential helpers, identity tokens. Knows no registry."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from members.adapters.leash import leashed
from members.core.imageref import config_key, host_of
from members.core.model import Credentials, RegistryDown, RegistryState

IDENTITY = "<token>"  # the user name that says: the password is an identity token
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_HELPER_LIMIT = 10.0  # seconds
_KEPT = 60.0  # seconds that a helper's answer is used for; those of clouds are good for hours
_LONGEST = 256 * 1024  # bytes of a helper's answer


class DockerConfig:
    """The file config.json in `folder`, read anew when it has changed. A missing file holds no credentials."""

    def __init__(self, folder: Path, *, helper_limit: float = _HELPER_LIMIT) -> None:
        self._path = folder / "config.json"
        self._helper_limit = helper_limit
        self._read: tuple[int, Mapping[str, Any]] = (0, {})
        self._told: dict[str, tuple[float, Credentials | None]] = {}

    async def credentials(self, host: str) -> Credentials | None:
        """Those for a registry's host (`docker.io` for Docker Hub). Raises RegistryDown for a broken file or helper."""
        config = await asyncio.to_thread(self._load)
        key, entry = _entry(config.get("auths"), host)
        helper_key, helper = _entry(config.get("credHelpers"), host)
        program = helper or config.get("credsStore")
        if program:
            told = await self._ask(program, helper_key if helper else key, host)
            if told is not None:
                return told
        return self._decoded(entry, host) if isinstance(entry, dict) else None

    def _load(self) -> Mapping[str, Any]:
        try:
            changed = self._path.stat().st_mtime_ns
            if changed != self._read[0]:
                config = json.loads(self._path.read_text(encoding="utf-8"))
                if not isinstance(config, dict):
                    raise ValueError("no object")
                self._read = changed, config
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._broken("expected the JSON object that `docker login` writes") from error
        return self._read[1]

    def _decoded(self, entry: Mapping[str, Any], host: str) -> Credentials | None:
        if isinstance(identity := entry.get("identitytoken"), str) and identity:
            return Credentials(IDENTITY, identity, config_key(host))
        user, password = entry.get("username"), entry.get("password")
        if isinstance(auth := entry.get("auth"), str) and auth:
            try:
                user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise self._broken(f"auths, {host}, auth: expected base64 of user:password") from error
            if not colon:
                raise self._broken(f"auths, {host}, auth: expected base64 of user:password")
        if not isinstance(user, str) or not isinstance(password, str) or not user:
            return None
        return Credentials(user, password.rstrip("\0"), config_key(host))

    async def _ask(self, program: Any, key: str, host: str) -> Credentials | None:
        if not isinstance(program, str) or not _HELPER_NAME.fullmatch(program):
            raise self._broken(f"{program!r}: expected the name of a credential helper, such as ecr-login")
        now = asyncio.get_running_loop().time()
        asked = f"{program} {key}"
        if asked not in self._told or now - self._told[asked][0] > _KEPT:
            self._told[asked] = now, await _from_helper(program, key, host, self._helper_limit)
        return self._told[asked][1]

    def _broken(self, what: str) -> RegistryDown:
        return RegistryDown(f"{self._path}: {what}", RegistryState.DENIED)


def _entry(entries: Any, host: str) -> tuple[str, Any]:
    """The key, as it is written in the file, and the value for a host; keys may be URLs too."""
    if isinstance(entries, dict):
        for key in (config_key(host), host, *entries):
            if key in entries and host_of(key) == host:
                return key, entries[key]
    return config_key(host), None


async def _from_helper(program: str, key: str, host: str, limit: float) -> Credentials | None:
    """What `docker-credential-PROGRAM get` says; None when it has nothing for this registry."""
    name = f"docker-credential-{program}"
    try:
        async with asyncio.timeout(limit):
            status, output = await _run(name, key)
    except TimeoutError as error:
        raise RegistryDown(f"{name} did not answer within {limit:g} seconds", RegistryState.DENIED) from error
    except OSError as error:
        raise RegistryDown(f"{name} cannot be run: {error.strerror}", RegistryState.DENIED) from error
    if status != 0:
        if b"credentials not found" in output:
            return None
        raise RegistryDown(f"{name} failed with status {status}; is it on PATH?", RegistryState.DENIED)
    try:
        answer = json.loads(output)
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryDown(
            f"{name} answered something else than credentials", RegistryState.DENIED
        ) from error
    if not isinstance(user, str) or not isinstance(secret, str):
        raise RegistryDown(f"{name} answered something else than credentials", RegistryState.DENIED)
    return Credentials(user, secret, config_key(host))


async def _run(name: str, key: str) -> tuple[int, bytes]:
    """Exit status and output. Whatever ends the wait ends the process and its children too."""
    process = await asyncio.create_subprocess_exec(
        *leashed([name, "get"], parent=os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stdin is not None and process.stdout is not None
        with suppress(ConnectionError):
            process.stdin.write(key.encode())
            await process.stdin.drain()
            process.stdin.close()
        output = b""
        while len(output) <= _LONGEST and (piece := await process.stdout.read(65536)):
            output += piece
        if len(output) > _LONGEST:
            return -1, b""
        return await process.wait(), output
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            # A pipe that is not read to its end keeps the process's transport open, and `wait` waiting.
            while process.stdout is not None and await process.stdout.read(65536):
                pass
            await process.wait()
