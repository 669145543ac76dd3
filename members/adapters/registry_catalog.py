"""What a registry holds: repositories, tags, images and their pieces; and deletion. Decides nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from urllib.parse import urljoin

from members.adapters.registry_ask import Reply
from members.adapters.registry_distribution import (
    ACCEPT,
    denied,
    json_object,
    manifest_path,
    pull_scope,
    strange,
)
from members.adapters.registry_wire import Wire
from members.core.imageref import ImageRef
from members.core.model import RegistryRefuses
from members.core.retention import Blob, Pieces

_PAGE = 500
_MOST_PAGES = 2000  # a registry that goes on for ever gives the same page again and again
_MOST_PARTS = 64  # manifests that one index may name
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*rel="?next"?', re.IGNORECASE)
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}")


class Catalog:
    """One registry's images. Every method raises RegistryDown when there is no clear answer."""

    def __init__(self, wire: Wire, *, at_once: int = 8) -> None:
        """`at_once` questions are on their way to the registry at most."""
        self._wire = wire
        self._places = asyncio.Semaphore(at_once)

    async def repositories(self) -> list[str]:
        """All of them, other people's too. Raises RegistryRefuses for a registry that does not tell."""
        found: list[str] = []
        async for reply in self._pages(f"/v2/_catalog?n={_PAGE}", "registry:catalog:*"):
            if reply.status in (401, 403, 404, 405):
                raise RegistryRefuses(
                    f"{self._wire.url} does not tell which images it has (_catalog: status {reply.status}). "
                    "Docker Hub and most cloud registries do not: use their own retention rules there. "
                    "A registry of your own may want an account with the scope registry:catalog:*."
                )
            found += _strings(reply, "repositories")
        return found

    async def tags(self, repository: str) -> list[str]:
        """None is left when everything in it was deleted."""
        found: list[str] = []
        scope = f"repository:{repository}:pull"
        async for reply in self._pages(f"/v2/{repository}/tags/list?n={_PAGE}", scope):
            if reply.status == 404:
                return found
            if reply.status in (401, 403):
                raise denied(reply, "read")
            found += _strings(reply, "tags")
        return found

    async def digest(self, repository: str, tag: str) -> str | None:
        """What a tag stands for now; None when it is gone."""
        ref = ImageRef("", repository, tag)
        reply = await self._ask("HEAD", manifest_path(ref), pull_scope(ref), ACCEPT)
        if reply.status == 404:
            return None
        if reply.status in (401, 403):
            raise denied(reply, "read")
        digest = reply.headers.get("Docker-Content-Digest", "")
        if reply.status != 200 or not _DIGEST.fullmatch(digest):
            raise strange(reply)
        return digest

    async def pieces(self, repository: str, tag: str) -> Pieces | None:
        """What a tag stands for, with everything an index names; None when the tag is gone."""
        manifest = await self._manifest(repository, tag)
        if manifest is None:
            return None
        digest, size, content = manifest
        blobs = [Blob(digest, size), *_described(content)]
        named = [str(part.get("digest")) for part in _list(content, "manifests")[:_MOST_PARTS]]
        parts = tuple(part for part in named if _DIGEST.fullmatch(part))
        for part in parts:
            below = await self._manifest(repository, part)
            if below is not None:
                blobs += [Blob(below[0], below[1]), *_described(below[2])]
                content = content if "config" in content else below[2]  # the first one is no attestation
        created = await self._created(repository, content)
        return Pieces(digest, tuple(dict.fromkeys(blobs)), created, parts)

    async def delete(self, repository: str, digest: str) -> None:
        """Takes a manifest and all its tags away; succeeds when it is gone already."""
        path = f"/v2/{repository}/manifests/{digest}"
        reply = await self._ask("DELETE", path, f"repository:{repository}:pull,delete", None)
        if reply.status == 405:
            raise RegistryRefuses(
                f"{self._wire.url} has deletion switched off. For docker-registry set "
                "storage.delete.enabled: true in its config.yml (REGISTRY_STORAGE_DELETE_ENABLED=true)."
            )
        if reply.status in (401, 403):
            raise denied(reply, "delete")
        if reply.status not in (200, 202, 204, 404):
            raise strange(reply)

    async def _manifest(
        self, repository: str, reference: str
    ) -> tuple[str, int, Mapping[str, object]] | None:
        ref = ImageRef("", repository, reference)
        reply = await self._ask("GET", manifest_path(ref), pull_scope(ref), ACCEPT)
        if reply.status == 404:
            return None
        if reply.status in (401, 403):
            raise denied(reply, "read")
        digest = reply.headers.get("Docker-Content-Digest", reference)
        content = json_object(reply)
        if reply.status != 200 or "schemaVersion" not in content or not _DIGEST.fullmatch(digest):
            raise strange(reply)
        return digest, len(reply.body), content

    async def _created(self, repository: str, manifest: Mapping[str, object]) -> float | None:
        config = manifest.get("config")
        digest = config.get("digest") if isinstance(config, dict) else None
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return None
        path = f"/v2/{repository}/blobs/{digest}"
        reply = await self._ask("GET", path, f"repository:{repository}:pull", None)
        created = json_object(reply).get("created") if reply.status == 200 else None
        try:
            at = datetime.fromisoformat(created).timestamp() if isinstance(created, str) else 0.0
        except (ValueError, OverflowError):
            return None
        return at if at > 0 else None

    async def _ask(self, method: str, path: str, scope: str, accept: str | None) -> Reply:
        headers = {"Accept": accept} if accept else {}
        async with self._places:
            return await self._wire.ask(method, path, scope=scope, headers=headers)

    async def _pages(self, path: str, scope: str) -> AsyncIterator[Reply]:
        for _ in range(_MOST_PAGES):
            reply = await self._ask("GET", path, scope, None)
            yield reply
            link = _NEXT.search(reply.headers.get("Link", ""))
            following = urljoin(reply.url, link[1]) if link else reply.url
            if following == reply.url:
                return
            path = following


def _strings(reply: Reply, key: str) -> list[str]:
    """A list of names that is null where there is none."""
    content = json_object(reply)
    names = content.get(key)
    if reply.status != 200 or key not in content or not isinstance(names, list | None):
        raise strange(reply)
    if not all(isinstance(name, str) for name in names or ()):
        raise strange(reply)
    return names or []


def _described(manifest: Mapping[str, object]) -> list[Blob]:
    config = manifest.get("config")
    described = [*_list(manifest, "layers"), *([config] if isinstance(config, dict) else [])]
    return [
        Blob(part["digest"], part["size"])
        for part in described
        if isinstance(part.get("digest"), str) and isinstance(part.get("size"), int)
    ]


def _list(content: Mapping[str, object], key: str) -> list[dict[str, object]]:
    parts = content.get(key)
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
