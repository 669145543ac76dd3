"""Members' records of use as small OCI artifacts in the registry, one tag each. Knows no image and no policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from members.adapters.registry_ask import Reply
from members.adapters.registry_catalog import Catalog
from members.adapters.registry_distribution import (
    denied,
    json_object,
    manifest_path,
    pull_scope,
    push_scope,
    strange,
    upload_url,
)
from members.adapters.registry_wire import Wire
from members.core import usage
from members.core.imageref import ImageRef
from members.core.model import RegistryDown, RegistryState
from members.core.retention import path_of
from members.core.usage import Usage

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_RECORD = "application/vnd.binder.usage.v1+json"
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


class UsageStore:
    """All records under one federation's prefix. Every method raises RegistryDown when it cannot do its part."""

    def __init__(self, wire: Wire, image_prefix: str) -> None:
        self._wire = wire
        self._catalog = Catalog(wire)
        self._repository = f"{path_of(image_prefix)}{usage.REPOSITORY}"
        self._read: dict[str, tuple[str, Usage]] = {}

    async def records(self) -> list[Usage]:
        """Every member's; a record that cannot be read is an error, as it may speak for an image."""
        found = [await self.record(tag) for tag in await self._catalog.tags(self._repository)]
        return [record for record in found if record is not None]

    async def record(self, tag: str) -> Usage | None:
        """One member's; None when it has none. What has not changed is not fetched again."""
        ref = ImageRef("", self._repository, tag)
        reply = await self._wire.ask(
            "GET", manifest_path(ref), scope=pull_scope(ref), headers={"Accept": _MANIFEST}
        )
        if reply.status == 404:
            return None
        if reply.status in (401, 403):
            raise denied(reply, "read")
        layers = json_object(reply).get("layers")
        layer = layers[0] if isinstance(layers, list) and layers else None
        digest = layer.get("digest") if isinstance(layer, dict) else None
        if reply.status != 200 or not isinstance(digest, str):
            raise strange(reply)
        if self._read.get(tag, ("",))[0] != digest:
            self._read[tag] = digest, await self._content(digest)
        return self._read[tag][1]

    async def write(self, tag: str, record: Usage) -> None:
        """Replaces a member's record, and deletes the one before where the registry lets us."""
        before = await self._catalog.digest(self._repository, tag)
        content = usage.to_json(record).encode()
        for blob in (_EMPTY, content):
            await self._upload(blob)
        manifest = _manifest(content, tag)
        path = f"/v2/{self._repository}/manifests/{tag}"
        put = await self._wire.ask(
            "PUT",
            path,
            scope=push_scope(self._repository),
            headers={"Content-Type": _MANIFEST},
            data=manifest,
        )
        _done(put)
        if before is not None and before != _digest(manifest):
            path = f"/v2/{self._repository}/manifests/{before}"
            await self._wire.ask("DELETE", path, scope=f"repository:{self._repository}:pull,delete")

    async def _content(self, digest: str) -> Usage:
        path = f"/v2/{self._repository}/blobs/{digest}"
        reply = await self._wire.ask("GET", path, scope=f"repository:{self._repository}:pull")
        if reply.status != 200 or _digest(reply.body) != digest:
            raise strange(reply)
        try:
            return usage.from_json(reply.body)
        except ValueError as error:
            raise RegistryDown(f"{reply.url}: {error}", RegistryState.FAILING) from error

    async def _upload(self, blob: bytes) -> None:
        scope, digest = push_scope(self._repository), _digest(blob)
        path = f"/v2/{self._repository}/blobs/"
        known = await self._wire.ask("HEAD", f"{path}{digest}", scope=scope)
        if known.status == 200:
            return
        begun = await self._wire.ask("POST", f"{path}uploads/", scope=scope, data=b"")
        _done(begun)
        location = upload_url(begun)
        if location is None:
            raise strange(begun)
        url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream"}
        _done(await self._wire.ask("PUT", url, scope=scope, headers=headers, data=blob))


def _done(reply: Reply) -> None:
    if reply.status in (401, 403, 405):
        raise denied(reply, "write")
    if reply.status not in (201, 202):
        raise strange(reply)


def _manifest(content: bytes, tag: str) -> bytes:
    """Of its tag alone: deletion is by digest, and would take another tag with the same manifest along."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": _RECORD,
        "config": _described(_EMPTY, _EMPTY_TYPE),
        "layers": [_described(content, _RECORD)],
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    return json.dumps(manifest, separators=(",", ":")).encode()


def _described(blob: bytes, media_type: str) -> Mapping[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"
