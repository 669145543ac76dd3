"""Small images for real registries, pushed over HTTP without an engine. Knows no test."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from datetime import UTC, datetime

OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

_CONFIG = {
    OCI: "application/vnd.oci.image.config.v1+json",
    DOCKER: "application/vnd.docker.container.image.v1+json",
}
_LAYER = {
    OCI: "application/vnd.oci.image.layer.v1.tar+gzip",
    DOCKER: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


def put_image(
    url: str,
    repository: str,
    tag: str,
    *,
    layers: tuple[bytes, ...] = (b"layer",),
    created: float | None = None,
    kind: str = OCI,
    headers: dict[str, str] | None = None,
) -> str:
    """Stores an image that no engine could start, and returns its digest."""
    shown = headers or {}
    about: dict[str, object] = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    if created is not None:
        about["created"] = datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    config = json.dumps(about).encode()
    for blob in (config, *layers):
        _put_blob(url, repository, blob, shown)
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": _CONFIG[kind], **_described(config)},
        "layers": [{"mediaType": _LAYER[kind], **_described(layer)} for layer in layers],
    }
    return put_manifest(url, repository, tag, manifest, shown)


def put_index(url: str, repository: str, tag: str, digests: dict[str, int], *, kind: str = OCI_INDEX) -> str:
    """Stores an index over manifests (with their sizes) that are there already."""
    below = OCI if kind == OCI_INDEX else DOCKER
    parts = [
        {
            "mediaType": below,
            "digest": digest,
            "size": size,
            "platform": {"os": "linux", "architecture": "amd64"},
        }
        for digest, size in digests.items()
    ]
    return put_manifest(url, repository, tag, {"schemaVersion": 2, "mediaType": kind, "manifests": parts}, {})


def put_manifest(
    url: str, repository: str, tag: str, manifest: dict[str, object], shown: dict[str, str]
) -> str:
    content = json.dumps(manifest).encode()
    headers = {**shown, "Content-Type": str(manifest["mediaType"])}
    _send("PUT", f"{url}/v2/{repository}/manifests/{tag}", content, headers)
    return _digest(content)


def manifest_size(url: str, repository: str, digest: str, kind: str = OCI) -> int:
    request = urllib.request.Request(f"{url}/v2/{repository}/manifests/{digest}", headers={"Accept": kind})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return len(reply.read())


def _put_blob(url: str, repository: str, blob: bytes, shown: dict[str, str]) -> None:
    location = _send("POST", f"{url}/v2/{repository}/blobs/uploads/", b"", shown)
    mark = "&" if "?" in location else "?"
    headers = {**shown, "Content-Type": "application/octet-stream"}
    _send("PUT", f"{location}{mark}digest={_digest(blob)}", blob, headers)


def _send(method: str, url: str, data: bytes, headers: dict[str, str]) -> str:
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return str(reply.headers.get("Location", ""))


def _described(blob: bytes) -> dict[str, object]:
    return {"digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"
